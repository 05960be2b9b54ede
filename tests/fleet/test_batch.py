"""`fusion batch` on this machine."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pyarrow.parquet as pq
import pytest
from fleet_maker import pictures_in, run_alone, write_fleet

from fusion_core.cli.main import main
from fusion_lab.fleet.results import present_records

OPTIONS = (
    "--device",
    "cpu",
    "--detector",
    "none",
    "--prior",
    "none",
    "--set",
    "threads=1",
    "--set",
    "engine.kind=torch",
)
FRAMES = 6


def batch(table, out, *options):
    return main(["batch", str(table), "--out", str(out), "--keep", "fused/", *OPTIONS, *options])


def last_line(capsys):
    """Return the one line of a failure."""
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("fusion:")]
    assert len(lines) == 1, lines
    return lines[0]


def test_one_fails_alone_and_the_others_are_done_once(tmp_path, capsys):
    table = write_fleet(tmp_path / "in", 2, FRAMES)
    broken = tmp_path / "in" / "drive01"
    for picture in (broken / "ir").iterdir():
        picture.write_bytes(b"not a picture")
    out = tmp_path / "out"
    assert batch(table, out, "--jobs", "2") == 1
    line = last_line(capsys)
    assert "1 of 2 recordings failed" in line
    assert "drive01" in line
    before = present_records(str(out))
    assert {name: record.state for name, record in before.items()} == {
        "drive00": "done",
        "drive01": "failed",
    }
    assert set(pq.read_table(out / "frames.parquet")["recording"].to_pylist()) == {"drive00"}
    page = (out / "fleet.html").read_text()
    assert "1 of 2 recordings failed" in page
    assert "Worst moments" in page
    assert page.count("data:image/webp") >= 2
    assert "http://" not in page.replace("http://www.w3.org", "")
    pictures, _ = run_alone(tmp_path / "in" / "drive00", tmp_path / "alone", *OPTIONS)
    assert pictures_in(out / "drive00" / "fused") == pictures
    summary = json.loads((out / "drive00" / "run.json").read_text())
    assert summary["fused"] == FRAMES
    assert summary["outputs"] == ["fused/"]

    # Repaired, only this one is done again; its results replace what was left of it.
    for picture in (tmp_path / "in" / "drive00" / "ir").iterdir():
        (broken / "ir" / picture.name).write_bytes(picture.read_bytes())
    capsys.readouterr()
    assert batch(table, out) == 0
    assert "2 of 2 recordings, 1 of them before" in capsys.readouterr().out
    after = present_records(str(out))
    assert {name for name in after if after[name].pid != before[name].pid} == {"drive01"}
    assert sorted(pictures_in(out / "drive01" / "fused")) == sorted(pictures)


def test_a_killed_process_is_begun_anew_and_an_end_leaves_nothing(tmp_path):
    table, out = write_fleet(tmp_path / "in", 1, 400), tmp_path / "out"
    command = ["batch", str(table), "--out", str(out), "--keep", "fused/", *OPTIONS]
    program = subprocess.Popen(
        [sys.executable, "-m", "fusion_core.cli.main", *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    said = []
    listener = threading.Thread(target=lambda: said.append(program.stderr.read()), daemon=True)
    listener.start()
    try:
        first = wait_for_attempt(out, 1)
        os.kill(first.pid, signal.SIGKILL)
        second = wait_for_attempt(out, 2)
        program.send_signal(signal.SIGTERM)
        assert program.wait(120) == 1
    finally:
        program.kill()
        program.wait()
        listener.join(30)
        program.stderr.close()
    assert not is_alive(second.pid)
    assert not list(tmp_path.glob("fusion-batch-*"))
    assert "stopped: 0 of 1 recordings are done" in said[0]
    assert present_records(str(out))["drive00"].state == "running"
    # Half done, it is done again from the start.
    assert main([*command, "--max-frames", "3"]) == 0
    assert len(pictures_in(out / "drive00" / "fused")) == 3
    assert len(pq.read_table(out / "frames.parquet")) == 3


def wait_for_attempt(out, number):
    """Return the record of an attempt that is at work."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        record = present_records(str(out)).get("drive00")
        if record and record.attempt == number:
            return record
        time.sleep(0.02)
    raise AssertionError(f"no attempt {number}")


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_files_of_others_are_left_alone(tmp_path, capsys):
    table, out = write_fleet(tmp_path / "in", 1, 2), tmp_path / "out"
    (out / "drive00").mkdir(parents=True)
    (out / "drive00" / "thesis.txt").write_text("mine")
    assert batch(table, out) == 1
    assert "not of a batch" in last_line(capsys)
    assert [path.name for path in (out / "drive00").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--keep", "/elsewhere/x.mp4"], ["--keep", "/elsewhere/x.mp4"]),
        (["--keep", "../x.mp4"], ["--keep"]),
        (["--keep", "zmq://127.0.0.1:1/x"], ["--keep"]),
        (["--keep", "fused.avi"], ["fused.avi"]),
        (["--jobs", "0"], ["--jobs 0"]),
        (["--gpus", "0.5"], ["--gpus", "--cluster"]),
        (["--set", "sync.max_skew=1"], ["sync.max_skew"]),
        (["--out", "PLACE/in/drive00/vi"], ["drive00/vi"]),
    ],
)
def test_bad_usage_is_one_line_and_nothing_is_begun(tmp_path, capsys, options, words):
    table, out = write_fleet(tmp_path / "in", 1, 2), tmp_path / "out"
    options = [option.replace("PLACE", str(tmp_path)) for option in options]
    place = [] if "--out" in options else ["--out", str(out)]
    assert main(["batch", str(table), *place, *OPTIONS, *options]) == 2
    line = last_line(capsys)
    assert all(word in line for word in words), line
    assert not out.exists()
