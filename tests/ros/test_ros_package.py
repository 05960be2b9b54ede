"""The ROS package as a workspace sees it: built on its own, beside nothing that shadows others."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "ros2_ws" / "src" / "fusion_node"
LAUNCH_FILES = {"fuse.launch.py", "replay.launch.py"}


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
    assert {path.name for path in (share / "config").iterdir()} == {"fastdds.xml", "params.yaml"}
    assert (share / "package.xml").is_file()
    assert (place / "share/ament_index/resource_index/packages/fusion_node").is_file()
    # `ros2 run` and launch files start what lies here.
    programs = {path.name for path in (place / "lib" / "fusion_node").iterdir()}
    assert programs == {"fusion_node", "camera_publisher", "recorder"}


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
