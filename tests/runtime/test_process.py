"""A program tunes its process; importing and using the library leaves it as it is."""

import os
import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource
import numpy as np
{code}
np.ones(4_000_000, np.uint8)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    np.ones(4_000_000, np.uint8)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
TUNE = "from fusion_core.runtime.process import tune_process; tune_process()"
LIBRARY = """
import os
import cv2  # sets LD_LIBRARY_PATH
before = dict(os.environ)
import fusion_core as fc
from fusion_core.engine import Engine, open_bank
from fusion_core.memory import MemoryConfig
from fusion_core.models import load_model
names = [getattr(fc, name) for name in fc.__all__]
model = load_model("m2pn-edge", "cpu")
Engine(model, open_bank(model, MemoryConfig()))
assert dict(os.environ) == before, {k: v for k, v in os.environ.items() if before.get(k) != v}
"""
MAINS = {
    "fusion": "import fusion_core.cli.main as program; program.main(['models'])",
    "fusion.runtime": TUNE,
}


def run(code, **environment):
    bare = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    return subprocess.run(
        [sys.executable, "-c", code],
        env=bare | environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


def faults(code):
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("the C library is not glibc")
    return int(run(FAULTS.format(code=code)).splitlines()[-1])


def test_in_a_tuned_process_blocks_used_again_do_not_fault_again():
    """4 MB are about 1000 pages of 4 KiB; each would fault once per use."""
    assert faults(TUNE) < faults("") / 10


def test_the_library_leaves_environment_and_allocator_alone():
    assert faults(LIBRARY) > faults("") / 2


@pytest.mark.parametrize(("given", "expected"), [({}, "1000"), ({"GOMP_SPINCOUNT": "7"}, "7")])
@pytest.mark.parametrize("program", MAINS)
def test_threads_of_a_program_spin_briefly_unless_set_otherwise(program, given, expected):
    code = f"{MAINS[program]}; import os; print(os.environ['GOMP_SPINCOUNT'])"
    assert run(code, **given).splitlines()[-1] == expected


def test_the_command_tunes_its_process_before_torch_is_loaded():
    code = "import fusion_core.cli.main, sys; print('torch' in sys.modules)"
    assert run(code) == "False"


LEFT_TO_ITSELF = """
import threading, torch
from fusion_core.runtime.process import BackgroundThread, end_process

torch.set_num_threads(1)
many, begun = torch.rand(1500, 1500), threading.Event()

def work():
    while True:
        begun.set()
        many @ many

BackgroundThread(work, "left").start()
begun.wait()
print("written")
end_process(3)
"""


def test_a_call_that_still_runs_does_not_abort_the_program():
    """At the interpreter's own end torch calls std::terminate, which is SIGABRT."""
    command = [sys.executable, "-c", LEFT_TO_ITSELF]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "written\n", "")
