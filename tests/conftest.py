"""What every room's tests share: where helpers and recordings lie."""

import os
import signal
import sys
from pathlib import Path

import pytest

RECORDINGS = Path(
    os.environ.get("FUSION_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
)

# A shell starts background jobs with Ctrl-C ignored; programs that a test interrupts would
# inherit that.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Tests that run beside one another in processes of their own are on DDS domains of their own.
if worker := os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw"):
    base = int(os.environ.get("ROS_DOMAIN_ID", "1"))
    os.environ["ROS_DOMAIN_ID"] = str(base + int(worker))

# A room's tests import the helper modules beside them by name.
sys.path += [str(folder) for folder in sorted(Path(__file__).parent.iterdir()) if folder.is_dir()]


def pytest_report_header() -> str:
    state = "found" if RECORDINGS.is_dir() else "absent: tests marked `data` are skipped"
    return f"recordings (FUSION_TEST_DATA): {RECORDINGS} {state}"


def pytest_collection_modifyitems(items):
    if RECORDINGS.is_dir():
        return
    for item in items:
        if item.get_closest_marker("data"):
            item.add_marker(pytest.mark.skip(reason=f"no recordings at {RECORDINGS}"))


@pytest.fixture(scope="session")
def recordings():
    """Return the folder of real recordings; for tests marked `data`."""
    return RECORDINGS


@pytest.fixture
def one_thread():
    """Let torch compute in one thread: the same bits everywhere, and no waiting for a busy core."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def one_kind_of_engine(monkeypatch):
    """Let `auto` be torch and, for the detector, ONNX Runtime: machines differ, tests must not."""
    from fusion_core.pipeline import builders, local_engine

    monkeypatch.setattr(local_engine, "KINDS", ("torch",))
    monkeypatch.setitem(builders._DETECTOR_ENGINES, "auto", "onnx")
