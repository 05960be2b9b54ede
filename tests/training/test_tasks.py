"""Runs that learn several tasks, and trainers found by the recipes that name them."""

import cv2
import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from fusion_core.errors import ConfigError, UsageError
from fusion_core.models import load_model
from fusion_core.plugins import plugin_names
from fusion_lab.data import Needs, read_examples
from fusion_lab.training import TRAINERS, Place, TrainingRequest, start_training
from fusion_lab.training.batches import make_pair_batch, pair_planes
from fusion_lab.training.recipe import RECIPES, trainer_of
from fusion_lab.training.tasks import TaskRotation

TINY = {
    "trainer": "fusion",
    "model": "m2pn-edge",
    "steps": 6,
    "batch": 2,
    "crop": 32,
    "warmup": 2,
    "save_every": 3,
    "tasks": {
        "vif": {"data": ["pairs"]},
        "mef": {"data": ["exposures"], "loss": {"selected": 0, "brighter": 1}},
    },
}


@pytest.fixture
def data(pair_folder):
    """Five visible and thermal pairs, and two of exposures."""
    folder = pair_folder.parent
    for name in ("a", "b"):
        (folder / "exposures" / name).mkdir(parents=True)
        for index in range(2):
            seed = 10 * index + ord(name)
            image = np.random.default_rng(seed).integers(0, 256, (72, 96, 3), np.uint8)
            cv2.imwrite(str(folder / "exposures" / name / f"{index}.png"), image)
    return folder


def start(tmp_path, *data, out="run", resume=False, **changes):
    file = tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump({**TINY, **changes}, sort_keys=False))
    place = Place(tmp_path / out, seed=3, hold_out=0.3)
    return start_training(TrainingRequest("m2pn-edge", data, place, str(file), resume=resume))


def test_tasks_take_turns():
    rotation = TaskRotation({"vif": [1, 2], "mef": [3], "mff": [4]})
    assert [rotation.at(step) for step in range(4)] == [
        ("vif", [1, 2]),
        ("mef", [3]),
        ("mff", [4]),
        ("vif", [1, 2]),
    ]


def test_every_step_learns_one_task_with_its_own_pictures_and_objective(tmp_path, data):
    run = start(tmp_path, data)
    needs = Needs(luma=True)
    known = {
        "vif": read_examples([data / "pairs"], "vif", needs),
        "mef": read_examples([data / "exposures"], "mef", needs),
    }
    for step, expected in enumerate(["vif", "mef", "vif"]):
        run.step = step
        task, batch = run._crops()
        kept = [
            planes
            for planes in map(pair_planes, known[expected])
            if any(np.array_equal(planes, own) for own in run._tasks.at(step)[1])
        ]
        again = make_pair_batch(kept, run.recipe.augmentation, size=2, crop=32, seed=3, step=step)
        assert task == expected
        assert all(torch.equal(one, other) for one, other in zip(batch, again, strict=True))
        assert ("selected" in run._losses()) == (task == "vif")
        assert bool(batch.salient.any()) == (task == "vif")


def test_a_killed_run_of_two_tasks_ends_with_the_same_bits(tmp_path, data):
    start(tmp_path, data, out="whole").run(lambda: None)
    broken = start(tmp_path, data, out="broken")
    for _ in range(3):
        broken._advance()
    broken.save()
    resumed = start(tmp_path, data, out="broken", resume=True)
    assert resumed.step == 3
    resumed.run(lambda: None)
    one, other = (load_file(tmp_path / n / "weights.safetensors") for n in ("whole", "broken"))
    assert all(torch.equal(value, other[key]) for key, value in one.items())
    load_model(str(resumed.finish()))


def test_folders_of_tasks_lie_in_the_one_folder_of_data(tmp_path, data):
    with pytest.raises(UsageError, match="2 folders, but the recipe names the folders"):
        start(tmp_path, data, data)


def test_an_unknown_task_is_named(tmp_path, data):
    with pytest.raises(ConfigError, match=r"tasks\.hdr"):
        start(tmp_path, data, tasks={"hdr": {"data": ["pairs"]}})


@pytest.mark.parametrize("file", sorted(RECIPES.glob("*.yaml")), ids=lambda file: file.stem)
def test_recipes_that_ship_name_a_trainer_there_is(file):
    assert trainer_of(file.stem) in plugin_names(TRAINERS)


def test_a_recipe_without_or_with_an_unknown_trainer_is_refused(tmp_path, data):
    with pytest.raises(ConfigError, match=r"recipe\.yaml: trainer = None; name the trainer"):
        start(tmp_path, data, trainer=None)
    with pytest.raises(UsageError, match="'guess'; known: adapting, clicking, codec, detector"):
        start(tmp_path, data, trainer="guess")


@pytest.mark.parametrize(
    ("model", "option"),
    [
        ("m2pn-edge", {"kind": ("haze",)}),
        ("ctrlfuse", {"prior": "none"}),
        ("pair-nano", {"ablation": "no-memory"}),
        ("prior", {"resume": True}),
    ],
)
def test_options_of_other_trainers_are_refused(tmp_path, data, model, option):
    (name,) = option
    request = TrainingRequest(model, (data,), Place(tmp_path / "run"), **option)
    with pytest.raises(UsageError, match=f"--{name} .*: not for {model} .*leave it out"):
        start_training(request)
