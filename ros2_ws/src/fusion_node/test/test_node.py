"""The tests of the node, which lie in the repository around the package."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[4]
TESTS = REPOSITORY / "tests" / "ros"


@pytest.mark.skipif(not TESTS.is_dir(), reason="the package was copied alone: no tests/ros")
def test_the_node_in_a_ros_graph() -> None:
    pytest.importorskip("pytest_timeout")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "pytest_timeout", "-q", str(TESTS)],
        cwd=REPOSITORY,
        # The plugins of a ROS installation do not fit every pytest.
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:]
