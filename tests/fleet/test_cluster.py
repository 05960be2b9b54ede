"""A real Ray cluster of several node processes that loses a worker and a node at work."""

import json
import signal
import subprocess
import sys
import threading
from collections import Counter
from importlib.util import find_spec

import pyarrow.parquet as pq
import pytest
from fleet_maker import pictures_in, run_alone, write_fleet

from fusion_core.cli.main import main
from fusion_core.errors import FusionError
from fusion_lab.benches.fleet.cluster import LocalCluster

RECORDINGS, FRAMES = 6, 8
OPTIONS = ("--device", "cpu", "--set", "threads=1", "--set", "engine.kind=torch")


def lose_both(out, command):
    """Run a batch on a cluster that loses a worker and a node at work; return both losses.

    Raises:
        FusionError: The cluster has begun nothing within some minutes.
    """
    with LocalCluster(nodes=2) as cluster:
        batch = subprocess.Popen(
            [
                *(sys.executable, "-X", "faulthandler", "-m", "fusion_core.cli.main"),
                *(*command, "--cluster", cluster.address),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        said = []
        listener = threading.Thread(target=lambda: said.append(batch.stdout.read()), daemon=True)
        listener.start()
        try:
            losses = [lose(str(out), batch) for lose in (cluster.lose_worker, cluster.lose_node)]
            code = batch.wait(240)
        finally:
            batch.send_signal(signal.SIGABRT)  # where it does not end, it says where it is
            batch.wait()
            listener.join(10)
            batch.stdout.close()
            sys.stdout.writelines(said)  # shown where the test fails
    assert code == 0, said
    return losses


@pytest.mark.skipif(find_spec("ray") is None, reason="the extra ray is not installed")
@pytest.mark.timeout(900)
def test_nothing_is_lost_and_nothing_done_twice(tmp_path, capsys):
    table, out = write_fleet(tmp_path / "in", RECORDINGS, FRAMES), tmp_path / "out"
    command = ["batch", str(table), "--out", str(out), "--keep", "fused/", *OPTIONS]
    try:
        losses = lose_both(out, command)
    except FusionError:
        # Several nodes on one busy machine may not find each other: once more, with new ones.
        if any(out.glob("*/unit.json")):
            raise
        losses = lose_both(out, command)

    names = [f"drive{number:02d}" for number in range(RECORDINGS)]
    frames = pq.read_table(out / "frames.parquet").to_pylist()
    found = pq.read_table(out / "detections.parquet").to_pylist()
    done = Counter((row["recording"], row["frame"]) for row in frames)
    assert done == Counter((name, frame) for name in names for frame in range(FRAMES))
    fleet = json.loads((out / "fleet.json").read_text())
    begun = {record["name"]: record["attempt"] for record in fleet["recordings"]}
    assert begun == Counter(names) + Counter(loss.unit for loss in losses)
    # The results are those of `fusion run` on each recording alone.
    for name in names:
        pictures, lines = run_alone(tmp_path / "in" / name, tmp_path / "alone" / name, *OPTIONS)
        assert pictures_in(out / name / "fused") == pictures
        rows = [row for row in frames if row["recording"] == name]
        assert [row["stamp_ns"] for row in rows] == [line["stamp_ns"] for line in lines]
        assert [row["prior_scene"] for row in rows] == [line["prior"]["scene_id"] for line in lines]
        labels = [(row["frame"], row["label"]) for row in found if row["recording"] == name]
        expected = [(line["frame"], each["label"]) for line in lines for each in line["detections"]]
        assert labels == expected
    capsys.readouterr()
    # The same command, on this machine, finds everything done.
    assert main(command) == 0
    assert f"{RECORDINGS} of {RECORDINGS} recordings, {RECORDINGS} of them before" in (
        capsys.readouterr().out
    )
