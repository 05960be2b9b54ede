"""Variants of a network begin as the full one wherever both have a tensor."""

import dataclasses

import pytest
import torch
from torch import nn

from fusion_core.models import create_model
from fusion_core.models.m2pn import M2PN
from fusion_lab.training.shared_init import share_initial_tensors


class Net(nn.Module):
    def __init__(self, *, extra: bool, width: int = 3):
        super().__init__()
        self.first = nn.Linear(2, 2)
        if extra:
            self.extra = nn.Linear(2, 2)
        self.norm = nn.BatchNorm1d(2)
        self.last = nn.Linear(2, width)


def built(**options):
    torch.manual_seed(1)
    return Net(**options)


def test_a_part_left_out_shifts_what_is_drawn_after_it_and_sharing_undoes_that():
    full, variant = built(extra=True), built(extra=False)
    assert torch.equal(full.first.weight, variant.first.weight)
    assert not torch.equal(full.last.weight, variant.last.weight)
    full.norm.running_mean.fill_(7)
    found = share_initial_tensors(variant, full)
    assert found.own == ()
    for name, tensor in variant.state_dict().items():
        assert torch.equal(tensor, full.state_dict()[name]), name
    assert variant.last.weight.requires_grad
    full.last.weight.data.add_(1)
    assert not torch.equal(full.last.weight, variant.last.weight)  # copied, not tied


def test_tensors_of_another_shape_stay_the_variants_own():
    full, variant = built(extra=True), built(extra=True, width=5)
    own = variant.last.weight.clone()
    found = share_initial_tensors(variant, full)
    assert found.own == ("last.weight", "last.bias")
    assert torch.equal(variant.last.weight, own)
    assert set(found.shared) | set(found.own) == set(variant.state_dict())


@pytest.mark.parametrize("part", ["context_nodes", "graph", "memory", "prompts"])
def test_every_ablation_of_the_constructor_can_begin_as_the_full_network(part):
    full = create_model("m2pn-edge", 3)
    torch.manual_seed(3)
    variant = M2PN("m2pn-edge", dataclasses.replace(full.config, **{part: False}))
    found = share_initial_tensors(variant, full)
    given = full.state_dict()
    assert len(found.shared) > len(found.own)
    assert all(torch.equal(variant.state_dict()[name], given[name]) for name in found.shared)
