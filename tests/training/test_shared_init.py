"""Variants of a network begin as the full one wherever both have a tensor."""

import dataclasses

import pytest
import torch
from torch import nn

from fusion_core.models import create_model
from fusion_lab.training.shared_init import build_variant, share_initial_tensors


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
def test_every_ablation_of_the_constructor_begins_as_the_full_network(part):
    full, variant = create_model("m2pn-edge", 3), build_variant("m2pn-edge", 3, {part: False})
    given, found = full.state_dict(), variant.state_dict()
    shared = [name for name in found if name in given and given[name].shape == found[name].shape]
    assert len(shared) > len(found) / 2
    assert all(torch.equal(found[name], given[name]) for name in shared)
    assert variant.config == dataclasses.replace(full.config, **{part: False})


def test_without_a_change_a_variant_is_the_network():
    full, same = create_model("ctrlfuse", 4), build_variant("ctrlfuse", 4, {})
    assert all(
        torch.equal(tensor, same.state_dict()[name]) for name, tensor in full.state_dict().items()
    )


def test_what_a_variant_begins_otherwise_stays_its_own():
    """Prototypes that start at random have the shape of orthonormal ones, and not their values."""
    full = create_model("mdaif", 2)
    variant = build_variant("mdaif", 2, {"orthonormal": False}, own=("rows",))
    differing = {
        name
        for name, tensor in full.state_dict().items()
        if not torch.equal(tensor, variant.state_dict()[name])
    }
    assert differing == {f"prototypes.{scale}.rows" for scale in range(5)}


def test_fields_that_the_full_network_changes_as_well_are_no_part_of_the_comparison():
    wide = build_variant("mdaif", 2, {}, given={"prior": 7})
    variant = build_variant("mdaif", 2, {"experts": 1}, given={"prior": 7})
    name = "scene.embed.0.weight"
    assert wide.state_dict()[name].shape[1] == 7
    assert torch.equal(wide.state_dict()[name], variant.state_dict()[name])
