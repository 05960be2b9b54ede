"""A package of somebody else, installed by pip, adds parts that work like the shipped ones."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fusion_core.models import save_weights

SOURCE = Path(__file__).parent / "foreign_package"
SHARE = 0.25


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Return the folder into which pip has installed the package, with its own weights."""
    project = tmp_path_factory.mktemp("foreign") / "project"
    shutil.copytree(SOURCE, project, ignore=shutil.ignore_patterns("__pycache__"))
    module_path = project / "foreign_fusion" / "__init__.py"
    spec = importlib.util.spec_from_file_location("foreign_fusion_source", module_path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    trained = module.Blend("blend", module.BlendConfig())
    trained.share.data.fill_(SHARE)
    save_weights(trained, project / "foreign_fusion" / "blend.safetensors")
    target = project.parent / "site"
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--target"]
    command = [sys.executable, "-m", "pip", "install", *options, str(target), str(project)]
    subprocess.run(command, check=True, capture_output=True)
    return target


@pytest.fixture
def python(installed, tmp_path):
    """Return a function that runs Python with the package beside the project."""

    def run(*arguments):
        paths = [str(installed), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
        return subprocess.run(
            [sys.executable, *arguments],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture
def fusion(python):
    """Return a function that runs the `fusion` command."""
    return lambda *arguments: python("-m", "fusion_core.cli.main", *arguments)


API = """
import json
import numpy as np
import fusion_core as fc
from fusion_core.models import list_models
from fusion_core.sink import open_sink

visible = np.full((48, 64, 3), 100, np.uint8)
thermal = np.full((48, 64), 200, np.uint8)
with fc.open_source("ramp://3") as source:
    frames = [(frame.stamp_ns, frame.modality) for frame in source.frames()]
sink = open_sink("tally:levels.txt")
sink.close()
info = {model.name: model for model in list_models()}["blend"]
print(json.dumps({
    "share": float(fc.load_model("blend").share),
    "fused": float(fc.fuse(thermal, visible, model="blend", device="cpu").mean()),
    "listed": [info.parameters, info.weights_present],
    "frames": frames,
    "sink": type(sink).__name__,
}))
"""


def test_all_parts_work_through_the_public_api(python):
    done = python("-c", API)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["share"] == SHARE
    assert found["fused"] == 125  # 100 + 0.25 * (200 - 100)
    assert found["listed"] == [1, True]
    stamps = [0, 0, 100_000_000, 100_000_000, 200_000_000, 200_000_000]
    assert [stamp for stamp, _ in found["frames"]] == stamps
    assert {modality for _, modality in found["frames"]} == {"visible", "thermal"}
    assert found["sink"] == "TallySink"


def test_all_parts_work_through_the_command(fusion, tmp_path):
    done = fusion("models")
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("blend ")]
    assert "ready" in line
    assert "A weighted mean from a package of somebody else." in line

    run = ["run", "--bag", "ramp://5", "--model", "blend", "--prior", "none", "--detector", "none"]
    done = fusion(*run, "--out", "tally:levels.txt", "--device", "cpu")
    assert done.returncode == 0, done.stdout + done.stderr
    levels = [float(line) for line in (tmp_path / "levels.txt").read_text().splitlines()]
    assert len(levels) == 5
    assert levels == sorted(levels)


def test_its_verb_is_a_verb(fusion):
    assert "greet" in fusion("--help").stdout
    done = fusion("greet", "--name", "robot")
    assert (done.returncode, done.stdout) == (0, "hello robot\n")


def test_without_the_package_its_names_are_unknown():
    done = subprocess.run(
        [sys.executable, "-m", "fusion_core.cli.main", "greet"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "'greet': no such verb" in done.stderr
