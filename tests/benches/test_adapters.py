"""Variants of TC-MoA trained for a step: shared data, figures of what was trained only."""

import dataclasses
import math

import cv2
import numpy as np
import pytest

from fusion_lab.benches.adapters import AdaptersResult, read_split, train_case, variants
from fusion_lab.training.adapting import load_adapting_recipe

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four pairs each of exposures and of focus settings."""
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for task in ("mef", "mff"):
        for number in range(4):
            picture = cv2.resize(rng.integers(0, 255, (6, 8, 3), np.uint8), (96, 72))
            changed = picture // 3 if task == "mef" else cv2.GaussianBlur(picture, (0, 0), 3)
            for side, shown in (("a", changed), ("b", picture)):
                place = root / task / side
                place.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(place / f"{number}.png"), shown)
    return root


def recipe(ablation=""):
    short = load_adapting_recipe("tcmoa", ablation, steps=2)
    tasks = {task: part for task, part in short.tasks.items() if task != "vif"}
    return dataclasses.replace(short, batch=1, crop=64, tasks=tasks)


def test_every_fourth_pair_is_held_out(folder):
    pairs = read_split(folder, recipe(), 4)
    assert {task: len(examples) for task, examples in pairs.training.items()} == {
        "mef": 3,
        "mff": 3,
    }
    assert [sample.kind for sample in pairs.held_out] == ["mef", "mff"]


def test_a_variant_is_trained_and_scored_on_its_tasks(folder):
    pairs = read_split(folder, recipe(), 4)
    both = train_case("one-adapter", recipe("one-adapter"), pairs, 0)
    alone = train_case("only-mef", recipe("only-mef"), pairs, 0)
    assert both.trained < alone.trained
    assert 0 < both.figures["mff NMI"] < 2
    assert math.isnan(alone.figures["mff NMI"])
    assert 0 < alone.figures["mef MEF_SSIM_2015"] <= 1
    (table,) = AdaptersResult(2, (both, alone)).tables()
    assert "| one-adapter |" in table.markdown()


def test_the_published_experiments_are_all_there():
    named = variants()
    assert named[0] == ""
    assert {"one-adapter", "six-adapters", "every-eight", "plain-adapters"} < set(named)
    assert {"only-vif", "only-mef", "only-mff"} < set(named)
    assert "decoder" not in named
