import subprocess
import sys

import pytest

CODE = """
import platform, resource
import numpy as np
from fusion_core.runtime.allocator import keep_freed_memory
if platform.libc_ver()[0] != "glibc":
    print("other")
    raise SystemExit
{call}
np.ones(4_000_000, np.uint8)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    np.ones(4_000_000, np.uint8)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(call):
    output = subprocess.run(
        [sys.executable, "-c", CODE.format(call=call)], capture_output=True, text=True, check=True
    ).stdout.strip()
    if output == "other":
        pytest.skip("the C library is not glibc")
    return int(output)


def test_blocks_used_again_do_not_fault_again():
    """4 MB are about 1000 pages of 4 KiB; each would fault once per use."""
    assert faults("keep_freed_memory()") < faults("") / 10
