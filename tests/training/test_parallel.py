"""Training in the processes of torchrun equals training in one, and survives the loss of one."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml

from fusion_core.errors import UsageError
from fusion_lab.training import Place, TrainerPlugin, TrainingRequest, start_training
from fusion_lab.training.parallel import ALONE, SharedBatch, Team

HERE = Path(__file__).parent
# Relative: float32 sums in another order, then amplified by steps of the optimiser; the prior's
# network computes in bfloat16.
FIRST, LATER, HALF = 1e-5, 3e-4, 2e-3


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Six labelled pairs of 220x180 pixels, with masks."""
    root = tmp_path_factory.mktemp("pairs")
    rng = np.random.default_rng(0)
    for name in ("vi", "ir", "labels", "masks"):
        (root / name).mkdir()
    for index in range(6):
        coarse = rng.integers(40, 200, (9, 12, 4), np.uint8)
        planes = cv2.resize(coarse, (220, 180), interpolation=cv2.INTER_CUBIC)
        mask = np.zeros((180, 220), np.uint8)
        x, y = (int(rng.integers(20, high)) for high in (150, 90))
        mask[y : y + 60, x : x + 30] = 255
        thermal = np.maximum(planes[..., 3], mask)
        for name, image in (("vi", planes[..., :3]), ("ir", thermal), ("masks", mask)):
            assert cv2.imwrite(str(root / name / f"{index}.png"), image)
        with (root / "labels" / f"{index}.csv").open("w", newline="") as file:
            rows = [("label", "x", "y", "w", "h"), ("person", x, y, 30, 60)]
            csv.writer(file).writerows(rows)
    return root


def run(arguments, processes=1, **environment):
    """Run a script or the command ``fusion``, under torchrun if in several processes."""
    start = [sys.executable]
    if processes > 1:
        module = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes)]
        start += [*module, *(["-m"] if arguments[0] == "fusion_core.cli.main" else [])]
    elif arguments[0] == "fusion_core.cli.main":
        start += ["-m"]
    child = subprocess.Popen(
        [*start, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
    )
    try:
        printed, complained = child.communicate(timeout=280)
    finally:
        if child.poll() is None:
            child.terminate()  # torchrun ends its processes then
            child.wait(60)
    return subprocess.CompletedProcess(child.args, child.returncode, printed, complained)


@pytest.fixture(scope="module")
def losses(folder, tmp_path_factory):
    """Losses of all trainers in one process, then those of each of two processes."""
    found = []
    for processes in (1, 2):
        out = tmp_path_factory.mktemp("out")
        done = run([HERE / "steps_of_all_trainers.py", folder, out], processes)
        assert done.returncode == 0, done.stderr
        files = [out / f"losses-{rank}.json" for rank in range(processes)]
        found += [json.loads(file.read_text()) for file in files]
    return found


@pytest.mark.timeout(600)  # the first case starts three processes
@pytest.mark.parametrize(
    "case",
    ["fusion", "discriminator", "prompting", "restoring", "pixel-router", "detector", "prior"],
)
def test_two_processes_have_the_losses_of_one(losses, case):
    alone, first, second = (found[case] for found in losses)
    assert first == second
    assert len(alone) >= 4
    for step, (expected, found) in enumerate(zip(alone, first, strict=True)):
        bound = FIRST if step == 0 else HALF if case == "prior" else LATER
        # Terms that hardly count are sums of roundings of luma: a few units of float32 at 1.
        assert found == pytest.approx(expected, rel=bound, abs=1e-6), step


@pytest.fixture
def recipe(tmp_path):
    values = {"trainer": "fusion", "model": "m2pn-edge", "steps": 8, "batch": 5, "crop": 32}
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump({**values, "save_every": 3, "warmup": 2}))
    return path


def last_entry(out):
    return json.loads((out / "log.jsonl").read_text().splitlines()[-1])


def said(done):
    """Return what the command itself said, one entry a line."""
    return [line for line in done.stderr.splitlines() if line.startswith("fusion: ")]


@pytest.mark.timeout(900)
def test_a_killed_process_ends_the_run_and_another_number_resumes_it(folder, recipe, tmp_path):
    command = ["train", "--model", "m2pn-edge", "--data", folder, "--recipe", recipe]
    command += ["--precision", "float32", "--device", "cpu", "--out"]
    out = tmp_path / "run"
    killer = [HERE / "killed_at_a_step.py", *command, out]
    killed = run(killer, 2, KILL_RANK="0", KILL_STEP="5")
    assert killed.returncode != 0
    (line,) = said(killed)
    assert "--resume" in line
    again = run(["fusion_core.cli.main", *command, out], 2)
    assert again.returncode != 0
    (line,) = said(again)
    assert "a run lies here" in line
    resumed = run(["fusion_core.cli.main", *command, out, "--resume"], 3)
    assert resumed.returncode == 0, resumed.stderr
    assert resumed.stdout.count("8 steps") == 1
    assert "3/8" in resumed.stderr  # the bar goes on from the checkpoint
    whole = run(["fusion_core.cli.main", *command, tmp_path / "whole"])
    assert whole.returncode == 0, whole.stderr
    expected, found = last_entry(tmp_path / "whole"), last_entry(out)
    assert found["validation"] == pytest.approx(expected["validation"], rel=LATER)
    entries = [line.split(",")[0] for line in (out / "log.jsonl").read_text().splitlines()]
    assert len(entries) == len(set(entries))  # one process logs


def test_rows_are_shared_without_gap_and_draws_are_those_of_the_whole_batch():
    parts = [SharedBatch(Team(rank, 3), 8) for rank in range(3)]
    whole = torch.arange(8)
    assert [part.own(whole).tolist() for part in parts] == [[0, 1], [2, 3, 4], [5, 6, 7]]
    torch.manual_seed(1)
    drawn = torch.randn(8, 4, 5, 6).contiguous(memory_format=torch.channels_last)
    own = []
    for part in parts:
        torch.manual_seed(1)
        own.append(part.draw(torch.randn_like, part.own(torch.empty(8, 4, 5, 6))))
    assert torch.equal(torch.cat(own), drawn)


def test_more_processes_than_pictures_are_refused():
    with pytest.raises(UsageError, match="4 processes"):
        Team(0, 4).share(3)


def test_alone_nothing_is_shared():
    rows = torch.rand(3, 2)
    joint = ALONE.share(3)
    assert joint.own(rows) is rows
    assert joint.gather(rows) is rows


def test_a_trainer_that_knows_no_processes_is_refused(monkeypatch, tmp_path):
    plugin = TrainerPlugin(frozenset(), lambda _: pytest.fail("started"))
    monkeypatch.setattr("fusion_lab.training.registry.load_plugin", lambda *_: plugin)
    place = Place(tmp_path, team=Team(0, 2))
    with pytest.raises(UsageError, match="without torchrun"):
        start_training(TrainingRequest("m2pn-edge", (tmp_path,), place))
