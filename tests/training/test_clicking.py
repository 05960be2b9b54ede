"""Training of what finds the person at a click."""

import dataclasses

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from fusion_core.masks.person_at import read_person_network
from fusion_lab.data import Needs, read_examples
from fusion_lab.training import Place
from fusion_lab.training.clicking import ClickRecipe, ClickTrainer
from fusion_lab.training.clicking.batches import crowd_of, make_click_batch
from fusion_lab.training.clicking.trainer import overlaps_of
from fusion_lab.training.prompting.clothes import cool_clothes
from fusion_lab.training.recipe import read_recipe


@pytest.fixture
def pairs(labelled_folder):
    """Beside the person stands one who is too small, and a crowd that could not be labelled."""
    folder = labelled_folder("person,80,60,4,8\nignore,2,2,20,60")
    return read_examples([folder], needs=Needs(labels=True, mask=True))


def test_overlaps_by_hand():
    """2x2 in 4x4; the same; side by side from one point: 1x2 shared of 2x2 and 3x2 (to 4 and 6)."""
    first = torch.tensor([[1.0, 1, 1, 1], [1, 2, 3, 4], [1, 1, 1, 1]])
    second = torch.tensor([[2.0, 2, 2, 2], [1, 2, 3, 4], [0, 1, 3, 1]])
    wanted = [4 / 16, 1, 2 / (4 + 6 - 2)]
    assert overlaps_of(first, second).tolist() == pytest.approx(wanted, abs=1e-5)


def test_clicks_lie_on_people_who_are_high_enough_or_on_nobody(pairs):
    """The window's height times what it reaches up and down is the person's 30 rows."""
    crowds = [crowd_of(pair) for pair in pairs]
    assert all(crowd.boxes.tolist() == [[30, 20, 45, 50]] for crowd in crowds)
    batch = make_click_batch(crowds, 200, 0, 0)
    again = make_click_batch(crowds, 200, 0, 0)
    assert torch.equal(batch.windows, again.windows)
    assert not torch.equal(batch.windows, make_click_batch(crowds, 200, 0, 1).windows)
    there = batch.reaches.sum(1) > 0
    assert 0.7 < float(there.float().mean()) < 0.95
    left, top, right, bottom = batch.reaches[there].unbind(1)
    torch.testing.assert_close((left + right) / (top + bottom), torch.full_like(left, 0.5))
    assert 1 / 2.2 <= float((top + bottom).min()) < float((top + bottom).max()) <= 2.2


def test_clothes_are_as_cold_as_the_air_and_nothing_else_changes():
    people = np.zeros((100, 100), bool)
    people[20:80, 40:60] = people[5:15, 5:10] = True
    thermal = np.where(people, np.float32(0.8), np.float32(0.2))
    coldest = []
    for seed in range(12):
        cooled = cool_clothes(thermal, people, np.random.default_rng(seed))
        changed = np.abs(cooled - thermal) > 0.02
        assert not changed[:25].any()
        assert not changed[76:].any()
        assert not (
            changed & ~cv2.dilate(people.astype(np.uint8), np.ones((7, 7))).astype(bool)
        ).any()
        coldest.append(float(cooled[35:45, 45:55].mean()))
    assert min(coldest) < 0.4
    assert max(coldest) == pytest.approx(0.8)


def test_a_run_can_be_resumed_and_its_weights_read(tmp_path, pairs):
    recipe = dataclasses.replace(
        read_recipe(ClickRecipe, "person-at", {"steps": 4}),
        batch=4,
        save_every=2,
        validate_every=4,
        widths=(4, 4, 4, 4, 4),
    )

    def trainer(name, *, resume=False):
        return ClickTrainer(recipe, pairs, Place(tmp_path / name, hold_out=0.3), resume=resume)

    trainer("whole").run()
    half = trainer("broken")
    for _ in range(2):
        half._advance()
    half.save()
    trainer("broken", resume=True).run()
    for name in ("checkpoint.safetensors", "weights.safetensors"):
        whole, again = (load_file(tmp_path / run / name) for run in ("whole", "broken"))
        assert all(torch.equal(value, again[key]) for key, value in whole.items())
    network = read_person_network(tmp_path / "whole" / "weights.safetensors")
    assert network.run(np.zeros((1, 2, 48, 32), np.float32))[0].shape == (1, 4)
