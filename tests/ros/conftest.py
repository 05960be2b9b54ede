"""Real nodes over a real DDS; without ROS these tests are left out, except in CI."""

import importlib.util
import os
import random
from pathlib import Path

import pytest

WORKSPACE = Path(__file__).resolve().parents[2] / "ros2_ws" / "src" / "fusion_node"
MISSING = [name for name in ("rclpy", "vision_msgs") if importlib.util.find_spec(name) is None]

if MISSING and os.environ.get("CI"):
    raise pytest.UsageError(f"{' and '.join(MISSING)} not found: run the tests with scripts/test")
if MISSING:
    collect_ignore_glob = ["test_*.py"]
else:
    # Before ROS starts: own domain, shipped transport profile, and the package from its source.
    os.environ.setdefault("ROS_DOMAIN_ID", str(random.SystemRandom().randint(1, 100)))
    os.environ["FASTRTPS_DEFAULT_PROFILES_FILE"] = str(WORKSPACE / "config" / "fastdds.xml")
    os.environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, [str(WORKSPACE), os.environ.get("PYTHONPATH")])
    )


def pytest_report_header() -> str:
    if MISSING:
        return f"ROS: {' and '.join(MISSING)} not found, tests/ros is left out; use scripts/test"
    return f"ROS: domain {os.environ['ROS_DOMAIN_ID']}"


def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.ros)


if not MISSING:
    from robot import Robot

    @pytest.fixture(scope="session")
    def robot():
        with Robot() as started:
            yield started

    @pytest.fixture
    def start(robot, tmp_path):
        """Start nodes under test; they are ended after the test whatever happens."""
        processes = []

        def start_one(**parameters):
            process = robot.start_node(tmp_path / f"node{len(processes)}.log", parameters)
            processes.append(process)
            return process

        yield start_one
        for process in processes:
            process.kill()
