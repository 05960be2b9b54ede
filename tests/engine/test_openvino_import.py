"""OpenVINO is used without what reports its use."""

import subprocess
import sys

import pytest

pytest.importorskip("openvino")
CODE = """
import os, sys
from pathlib import Path
def fork():
    raise SystemExit("a process was forked")
os.fork = fork
from fusion_core.engine.exported import exported_file
from fusion_core.inference import SessionConfig, open_session
open_session(exported_file("m2pn-nano"), SessionConfig("openvino", 1))
print("openvino_telemetry" in sys.modules)
"""


def test_no_process_is_forked_and_nothing_reported():
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "False"), done.stderr
