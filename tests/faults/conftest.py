"""The fault suite: what files, disks, signals and networks do to a run, one case per kind.

Each area has its file: ``test_readers`` (fuzzed rigs, configurations, snapshots, metadata),
``test_writers`` (full disks, foreign files, links, modes), ``test_processes`` (killed, interrupted,
hanging). Fuzzing has fixed seeds, so a failure can be repeated. The folder takes minutes, not more.
"""

import subprocess

import pytest
from disks import fill
from hypothesis import HealthCheck, settings

settings.register_profile(
    "faults",
    derandomize=True,
    deadline=None,
    max_examples=100,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("faults")


@pytest.fixture
def small_disk(tmp_path):
    """Return a file system of 1 MB of its own; skip where mounting is not allowed."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(place)]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if done.returncode:
        pytest.skip(f"mounting is not allowed here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.fixture
def full_disk(small_disk):
    """Return a file system without a free block; its file `filler` fills it."""
    fill(small_disk)
    return small_disk
