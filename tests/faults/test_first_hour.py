"""What a new user meets: completion of names, and hints that can be followed."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import fusion_core as fc
from fusion_core.inference.packages import PACKAGES

ROOT = Path(__file__).resolve().parents[2]


def extras():
    """Return extra -> packages of pyproject.toml."""
    tomllib = pytest.importorskip("tomllib")  # Python 3.11
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {
        name: {Requirement(text).name for text in texts}
        for name, texts in project["optional-dependencies"].items()
    }


def test_completion_offers_every_public_name_and_none_of_the_workings():
    offered = dir(fc)
    assert set(fc.__all__) <= set(offered)
    assert not {"TYPE_CHECKING", "import_module", "_MODULE_OF", "Any", "sys"} & set(offered)
    assert all(hasattr(fc, name) for name in offered)


def test_completion_loads_nothing():
    code = "import sys, fusion_core; dir(fusion_core); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "numpy", "cv2"} & set(done.stdout.split())


def test_every_hint_names_an_extra_of_this_project_that_brings_the_package():
    """Every call of missing_extra in the sources, and no other hint to install an extra."""
    known, calls = extras(), 0
    for path in [*ROOT.glob("fusion_*/**/*.py"), *ROOT.glob("ros2_ws/**/*.py")]:
        text = path.read_text(encoding="utf-8")
        if path.name != "errors.py":
            assert "pip install -e '.[" not in text, path
        assert "pip install 'fusion-core" not in text, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "missing_extra":
                calls += 1
                package, extra = node.args[1:]
                if isinstance(extra, ast.Name):  # of the engines, by kind
                    assert path.parent.name == "inference", path
                    continue
                assert extra.value in known, path
                if isinstance(package, ast.Constant):
                    named = set(package.value.split(" and "))
                    assert named <= known[extra.value], path
    assert calls >= 5
    # ONNX Runtime comes without an extra.
    assert {kind: PACKAGES[kind] in known[kind] for kind in ("torch", "openvino")} == {
        "torch": True,
        "openvino": True,
    }
