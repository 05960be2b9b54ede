"""The ROS package as a workspace sees it: built on its own, beside nothing that shadows others."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from fusion_node.static_transform import transform_arguments

from fusion_core.errors import CalibrationError

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "ros2_ws" / "src" / "fusion_node"
LAUNCH_FILES = {"fuse.launch.py", "replay.launch.py"}
CONFIG_FILES = {path.name for path in (PACKAGE / "config").iterdir()}


def test_the_package_copied_alone_installs_everything(tmp_path):
    # Links are copied as links: one that leads out of the package would lead nowhere here.
    alone = shutil.copytree(PACKAGE, tmp_path / "fusion_node", symlinks=True)
    place = tmp_path / "install"
    # What colcon runs for a package of type ament_python.
    command = [sys.executable, "-W", "ignore", "setup.py", "-q", "install", f"--prefix={place}"]
    command += ["--single-version-externally-managed", f"--record={tmp_path / 'record'}"]
    done = subprocess.run(command, cwd=alone, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    share = place / "share" / "fusion_node"
    assert {path.name for path in (share / "launch").iterdir()} == LAUNCH_FILES
    for path in (share / "launch").iterdir():
        assert path.read_bytes() == (PACKAGE / "launch" / path.name).read_bytes()
    assert {path.name for path in (share / "config").iterdir()} == CONFIG_FILES
    assert (share / "package.xml").is_file()
    assert (place / "share/ament_index/resource_index/packages/fusion_node").is_file()
    # `ros2 run` and launch files start what lies here.
    programs = {path.name for path in (place / "lib" / "fusion_node").iterdir()}
    assert programs == {"fusion_node", "camera_publisher", "recorder", "health_check"}


def test_the_launch_folder_of_the_repository_is_that_of_the_package():
    assert (ROOT / "launch").resolve() == PACKAGE / "launch"
    assert all(not path.is_symlink() for path in PACKAGE.rglob("*"))


def test_a_workspace_finds_no_package_but_the_node():
    """Colcon passes over hidden folders and those that hold a `COLCON_IGNORE`."""
    found = []
    for folder, children, files in os.walk(ROOT):
        if "COLCON_IGNORE" in files:
            children.clear()
        elif "package.xml" in files:
            found.append(Path(folder))
            children.clear()
        else:
            children[:] = [name for name in children if not name.startswith(".")]
    assert found == [PACKAGE]


def test_every_source_file_names_its_licence():
    """As ament_copyright wants it: the header of the Apache licence on top."""
    for path in PACKAGE.rglob("*.py"):
        lines = path.read_text().splitlines()
        assert re.fullmatch(r"# Copyright \d{4} .+", lines[0]), path
        assert 'Licensed under the Apache License, Version 2.0 (the "License");' in lines[2], path


def test_a_rigs_transform_states_where_the_thermal_camera_lies(tmp_path):
    """The sample's thermal camera sits 45 mm to the right of the colour camera, not turned."""
    sample = ROOT / "calibration" / "boson_640.yaml"
    arguments = transform_arguments(sample, "rgb", "lwir")
    values = dict(zip(arguments[::2], arguments[1::2], strict=True))
    assert values.pop("--frame-id") == "rgb"
    assert values.pop("--child-frame-id") == "lwir"
    numbers = {name: float(text) for name, text in values.items()}
    assert numbers == {
        "--x": 0.045, "--y": 0, "--z": 0, "--qx": 0, "--qy": 0, "--qz": 0, "--qw": 1
    }  # fmt: skip
    document = yaml.safe_load(sample.read_text())
    # A quarter turn about the vertical axis: thermal looks along the colour camera's x, right.
    document["T_thermal_rgb"] = [[0, 0, -1, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]]
    (tmp_path / "turned.yaml").write_text(yaml.safe_dump(document))
    arguments = transform_arguments(tmp_path / "turned.yaml", "rgb", "lwir")
    values = dict(zip(arguments[::2], arguments[1::2], strict=True))
    # Where thermal's forward axis points in the colour frame is the third row of the matrix.
    qx, qy, qz, qw = (float(values[f"--q{axis}"]) for axis in "xyzw")
    assert abs(2 * (qx * qz + qy * qw) - 1) < 1e-6
    assert abs(1 - 2 * (qx * qx + qy * qy)) < 1e-6
    assert abs(2 * (qy * qz - qx * qw)) < 1e-6


def test_a_homography_holds_no_transform():
    with pytest.raises(CalibrationError, match="homography"):
        transform_arguments(ROOT / "calibration" / "homography.yaml", "rgb", "lwir")


def test_no_line_is_longer_than_ament_flake8_allows():
    """Ruff passes over a comment for linters at the end of a line; flake8 does not."""
    for path in PACKAGE.rglob("*.py"):
        assert max(map(len, path.read_text().splitlines())) <= 100, path


def test_the_layouts_show_topics_of_the_node():
    layout = json.loads((PACKAGE / "config" / "foxglove.json").read_text())
    rviz = yaml.safe_load((PACKAGE / "config" / "fusion.rviz").read_text())
    assert "/fusion/boxes" in json.dumps(layout)
    # With one, Foxglove shows no image before a camera info comes, which registered pairs lack.
    assert "calibrationTopic" not in json.dumps(layout)
    topics = [
        display["Topic"]["Value"]
        for display in rviz["Visualization Manager"]["Displays"]
        if "Topic" in display
    ]
    assert topics == ["/fusion/image", "/fusion/debug_image"]
