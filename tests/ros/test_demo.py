"""The demo's own folder: replaced when it is the demo's, left alone otherwise."""

import importlib.util
from pathlib import Path

import pytest

from fusion_core.errors import UsageError


@pytest.fixture(scope="module")
def demo():
    path = Path(__file__).resolve().parents[2] / "scripts" / "demo.py"
    spec = importlib.util.spec_from_file_location("demo", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_folder_of_somebody_else_is_refused_and_untouched(demo, tmp_path):
    (tmp_path / "bag").mkdir()
    (tmp_path / "bag" / "precious.mcap").write_bytes(b"data")
    with pytest.raises(UsageError, match="choose a new folder"):
        demo.prepare(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="file: exists"):
        demo.prepare(tmp_path / "file")
    found = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")}
    assert found == {"bag", "bag/precious.mcap", "file"}


def test_the_results_of_an_earlier_demo_are_replaced(demo, tmp_path):
    out = tmp_path / "new" / "out"
    demo.prepare(out)
    (out / "bag").mkdir()
    (out / "bag" / "old.mcap").touch()
    (out / "notes.txt").touch()
    demo.prepare(out)
    assert {path.name for path in out.iterdir()} == {demo.MARKER, "logs", "notes.txt"}
