"""The parts that name M2PN act in the weights that ship: in the picture, and in the edges kept."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from fusion_core.models import load_model
from fusion_lab.benches.mechanisms.bench import measure_parts, system_of

EDGE = 256
CHANGE = {
    ("memory bank", "zero"): 1.5,
    ("memory bank", "values of each slot shuffled"): 1.5,
    ("prompts", "zero"): 2.0,
}
"""Way around a part -> what it must at least change, of 255, on these crops."""
SCENE_IN_THE_HEAD = {
    "m2pn": {},
    "m2pn-edge": {("scene in the head", "zero"): 1.0},
    "m2pn-nano": {("scene in the head", "zero"): 2.0},
}
"""The same by network, of what only those on cells have."""
BANK_BY_PLACE = {
    ("memory bank", "zero"): 0.02,
    ("memory bank", "values of each slot shuffled"): 0.02,
    ("memory bank", "all slots their mean"): 0.02,
    ("memory bank by place", "another picture's"): 0.02,
    ("memory bank by place", "mean of the picture"): 0.02,
}
COST = {
    "m2pn": {
        **BANK_BY_PLACE,
        ("prompts", "zero"): 0.005,
        ("prompts", "another picture's"): 0.004,
        ("graph attention", "every node by itself"): 0.001,
    },
    "m2pn-edge": {
        **BANK_BY_PLACE,
        ("prompts", "zero"): 0.01,
        ("prompts", "another picture's"): 0.03,
        ("graph attention", "nodes as they are"): 0.03,
        ("graph attention", "every node by itself"): 0.01,
    },
    "m2pn-nano": {
        ("memory bank", "zero"): 0.001,
        ("memory bank", "values of each slot shuffled"): 0.001,
        ("memory bank", "all slots their mean"): 0.001,
        ("prompts", "zero"): 0.01,
        ("prompts", "another picture's"): 0.005,
        ("graph attention", "nodes as they are"): 0.001,
        ("scene in the head", "zero"): 0.01,
    },
}
"""Network -> way around a part -> what it must at least cost of Qabf there."""


def cut(sample):
    """Return the middle of a sample, so that all its runs take a second."""
    height, width = sample.thermal.shape[-2:]
    rows, columns = (slice((edge - EDGE) // 2, (edge + EDGE) // 2) for edge in (height, width))
    planes = (plane[..., rows, columns] for plane in (sample.thermal, sample.visible))
    grays = tuple(np.ascontiguousarray(gray[rows, columns]) for gray in sample.reference)
    thermal, visible = (plane.contiguous() for plane in planes)
    return replace(sample, thermal=thermal, visible=visible, reference=grays)


def effects(name, data, ways, pairs):
    """Return change and cost of every way around a part, on middles of pairs not trained on."""
    network = load_model(name)
    system = system_of(network)
    bypasses = tuple(bypass for bypass in system.bypasses if (bypass.part, bypass.how) in ways)
    assert len(bypasses) == len(ways)
    samples = [cut(sample) for sample in system.read(data, pairs)]
    found = measure_parts(network, replace(system, bypasses=bypasses), samples, seeds=1)
    return {(effect.part, effect.how): (effect.change, -effect.difference) for effect in found}


@pytest.mark.data
@pytest.mark.parametrize("name", list(COST))
def test_every_part_counts(name, recordings):
    changes = {**CHANGE, **SCENE_IN_THE_HEAD[name]}
    found = effects(name, recordings, changes.keys() | COST[name].keys(), 6)
    for way, change in changes.items():
        assert found[way][0] > change, way
    for way, cost in COST[name].items():
        assert found[way][1] > cost, way


def test_slots_of_zeros_are_not_what_ships():
    for name in ("m2pn", "m2pn-edge", "m2pn-nano"):
        lengths = load_model(name).bank.norm(dim=1)
        assert torch.all(lengths > 0.1 * lengths.mean())
