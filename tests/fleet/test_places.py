"""Object stores: inputs are staged, results are published, as with files."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import fsspec
import pyarrow.parquet as pq
import pytest
from fleet_maker import pictures_in, run_alone, write_fleet

from fusion_core.config import Config
from fusion_core.errors import SourceError
from fusion_lab.fleet.merging import merge_tables
from fusion_lab.fleet.places import measure
from fusion_lab.fleet.plan import make_plan, plain_config
from fusion_lab.fleet.recordings import Recording, find_recordings
from fusion_lab.fleet.results import ResultFolder, present_records
from fusion_lab.fleet.scratch import remove_stale, scratch_folder
from fusion_lab.fleet.totals import FleetTotals
from fusion_lab.fleet.unit import Unit
from fusion_lab.fleet.work import run_unit

SETTINGS = {"device": "cpu", "detector": "none", "prior": "none", "threads": 1}
OPTIONS = ("--device", "cpu", "--detector", "none", "--prior", "none", "--set", "threads=1")
FRAMES = 4


@pytest.fixture
def store():
    """Return the file system of an object store that lives in this process."""
    system = fsspec.filesystem("memory")
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


def common(out, **settings):
    config = plain_config(Config.from_dict({**SETTINGS, **settings}), 1)
    return Unit(Recording(), config, overlay=False, max_frames=None, keep=("fused/",), out=out)


def test_a_unit_from_store_to_store_is_as_on_disk(store, tmp_path):
    write_fleet(tmp_path / "in", 1, FRAMES)
    store.put(f"{tmp_path}/in/", "/in/", recursive=True)
    recordings = find_recordings(["memory://in/fleet.csv"])
    assert recordings[0].inputs == ("memory://in/drive00/vi", "memory://in/drive00/ir")
    (unit,) = make_plan(recordings, common("memory://out")).units
    record = run_unit(unit)
    assert record.state == "done", record.reason
    assert record.staged_bytes == record.input_bytes == unit.input_bytes > 0
    totals = FleetTotals()
    merge_tables("memory://out", [record], totals)
    assert totals.frames == {"drive00": FRAMES}
    with store.open("/out/frames.parquet") as file:
        assert pq.read_table(file)["frame"].to_pylist() == list(range(FRAMES))
    store.get("/out/drive00/fused/", f"{tmp_path}/fused/", recursive=True)
    pictures, _ = run_alone(tmp_path / "in" / "drive00", tmp_path / "alone", *OPTIONS)
    assert pictures_in(tmp_path / "fused") == pictures
    summary = json.loads(store.cat("/out/drive00/run.json"))
    assert summary["recording"]["visible"] == "memory://in/drive00/vi"
    assert run_unit(unit) == record

    # Another input, setting, or file that a setting names: the work is another one.
    assert make_plan(recordings, common("memory://out")).units == ()
    assert make_plan(recordings, common("memory://out", temporal_smoothing=0.5)).units
    store.pipe("/in/drive00/ir/000.png", store.cat("/in/drive00/ir/001.png"))
    assert make_plan(recordings, common("memory://out")).units


def test_results_are_only_those_of_a_whole_unit(store, tmp_path):
    """What an attempt left is removed by the next one, and nothing else is."""
    recordings = find_recordings([str(write_fleet(tmp_path, 1, FRAMES))])
    (unit,) = make_plan(recordings, common("memory://out")).units
    folder = ResultFolder("memory://out", unit.recording.name)
    done = run_unit(Unit.from_json(unit.to_json()))
    assert done.state == "done", done.reason
    files = {name.rpartition("/")[2] for name in store.find("/out")}
    folder.mark(replace(done, state="running"))
    again = run_unit(replace(unit, max_frames=2))
    assert again.state == "done"
    assert {name.rpartition("/")[2] for name in store.find("/out")} < files
    assert present_records("memory://out") == {unit.recording.name: again}


def test_a_missing_input_fails_alone(store):
    plan = make_plan([Recording(bag="memory://nowhere/a.mcap")], common("memory://out"))
    assert plan.units == ()
    assert "memory://nowhere/a.mcap" in plan.unreadable[0].reason
    with pytest.raises(SourceError):
        measure("memory://nowhere/*.mcap")


def test_scratch_of_a_dead_process_is_removed_and_of_a_live_one_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    dying = """
import os
from fusion_lab.fleet.scratch import scratch_folder
with scratch_folder():
    os.kill(os.getpid(), 9)
"""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", dying], env=environment, check=False)
    assert len(list(tmp_path.iterdir())) == 1
    with scratch_folder() as own:
        remove_stale()
        assert list(tmp_path.iterdir()) == [own]
    assert list(tmp_path.iterdir()) == []
