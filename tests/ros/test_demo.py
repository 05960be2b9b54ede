"""The demo without ROS: its own folder, a machine that is too slow, and the way on from it."""

import importlib.util
import json
import re
import shlex
from pathlib import Path

import pytest
import tyro

from fusion_core.cli.run import Run
from fusion_core.config import Config
from fusion_core.errors import SourceError, UsageError


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


def test_a_machine_too_slow_for_live_fusion_fuses_every_pair_of_the_recording(
    demo, tmp_path, monkeypatch, capsys
):
    """No machine plays a thousand times as fast as recorded, so this one counts as too slow."""
    monkeypatch.setattr(demo, "SLOWEST", 1000.0)
    out = tmp_path / "out"
    demo.prepare(out)
    played, rig = demo.film_street(out, 1.0)
    config = Config(calibration=rig, threads=1)
    demo.run(out, config, played, None)
    assert "too slow to fuse live" in capsys.readouterr().out
    lines = (out / "fused.jsonl").read_text().splitlines()
    assert len(lines) == 10  # 1 s at 10 Hz
    assert json.loads((out / "run.json").read_text())["fused"] == 10
    for name in ("fused.mp4", "report.html", "bag"):
        assert (out / name).exists()


def test_the_printed_command_is_one_that_fusion_reads(demo, tmp_path, capsys):
    out = tmp_path / "a folder"
    rig = Config(model="ctrlfuse", calibration="my rig.yaml")
    demo.print_next_steps(out, rig, {"visible": "my rgb.mp4", "thermal": "t.mp4"})
    line = re.search(r"fusion run .*a folder.*", capsys.readouterr().out)[0]
    options = tyro.cli(Run, args=shlex.split(line)[2:])
    assert (options.visible, options.thermal) == ("my rgb.mp4", "t.mp4")
    assert (options.model, options.calibration) == ("ctrlfuse", "my rig.yaml")
    assert options.out == (str(out / "fused.mp4"),)
    assert options.report == out / "report.html"


def test_a_recording_without_a_pair_is_refused_in_one_line(demo, tmp_path):
    rgb, thermal = tmp_path / "rgb", tmp_path / "thermal"
    rgb.mkdir()
    thermal.mkdir()
    with pytest.raises(SourceError, match="rgb"):
        demo.measure({"visible": str(rgb), "thermal": str(thermal)}, Config(threads=1))
