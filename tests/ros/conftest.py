"""Real nodes over a real DDS; without ROS these tests are left out, except in CI."""

import os
import sys
from pathlib import Path

import pytest
from ros_environment import MISSING, prepare

if not prepare():
    collect_ignore_glob = ["test_*.py"]


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
    from robot import shared_robot

    @pytest.fixture(scope="session")
    def robot():
        return shared_robot()

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
            process.end()
            sys.stdout.write(process.log)  # shown beside a test that fails
        assert robot.errors == [], "errors of callbacks in the test process"
