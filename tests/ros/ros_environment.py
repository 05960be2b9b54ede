"""What a process of tests needs before ROS starts in it."""

import importlib.util
import os
import random
from pathlib import Path

import pytest

WORKSPACE = Path(__file__).resolve().parents[2] / "ros2_ws" / "src" / "fusion_node"
MISSING = [
    name
    for name in ("rclpy", "vision_msgs", "visualization_msgs")
    if importlib.util.find_spec(name) is None
]


def prepare():
    """Set an own domain, the shipped transport profile, and the package from its source.

    Returns:
        Whether ROS is there; in continuous integration it must be.
    """
    if MISSING and os.environ.get("CI"):
        raise pytest.UsageError(
            f"{' and '.join(MISSING)} not found: run the tests with scripts/test"
        )
    if MISSING:
        return False
    os.environ.setdefault("ROS_DOMAIN_ID", str(random.SystemRandom().randint(1, 100)))
    os.environ["FASTRTPS_DEFAULT_PROFILES_FILE"] = str(WORKSPACE / "config" / "fastdds.xml")
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if str(WORKSPACE) not in paths:
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(WORKSPACE), *paths]))
    return True
