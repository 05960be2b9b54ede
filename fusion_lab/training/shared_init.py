"""Equal beginnings for variants of a network.

A part left out of a constructor changes every random number that is drawn after it, so that a
network and its ablation begin from different weights in all of their layers, not only in the part
that differs. Their comparison is then one of two seeds as well.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from fusion_core.errors import UsageError
from fusion_core.models import Fuser, create_model


@dataclass(frozen=True, slots=True)
class SharedTensors:
    """Names of the tensors of a variant.

    Attributes:
        shared: Those that begin as in the reference.
        own: Those that the reference does not have, or has in another shape.
    """

    shared: tuple[str, ...]
    own: tuple[str, ...]


@torch.no_grad()
def share_initial_tensors(
    variant: nn.Module, reference: nn.Module, own: tuple[str, ...] = ()
) -> SharedTensors:
    """Give a variant every initial tensor, parameter or buffer, that both networks have.

    Args:
        variant: Changed in place.
        reference: The full network as it was initialised.
        own: Last names of tensors that the variant keeps for itself.
    """
    given, wanted = reference.state_dict(), variant.state_dict()
    shared = tuple(
        name
        for name, tensor in wanted.items()
        if name in given
        and given[name].shape == tensor.shape
        and name.rpartition(".")[2] not in own
    )
    for name in shared:
        wanted[name].copy_(given[name])
    return SharedTensors(shared, tuple(name for name in wanted if name not in shared))


def build_variant(
    name: str,
    seed: int,
    changes: Mapping[str, Any],
    *,
    given: Mapping[str, Any] | None = None,
    own: tuple[str, ...] = (),
) -> Fuser:
    """Return an untrained network, or a variant that begins as the full one wherever it can.

    Args:
        name: Name of the network.
        seed: Seed of the initial weights.
        changes: Fields of its configuration that the variant changes; none: the full network.
        given: Fields that the full network changes as well.
        own: Last names of tensors whose beginning is what the variant changes.

    Raises:
        UsageError: No such network, or it has no such field.
    """
    full = _rebuilt(create_model(name, seed), seed, given or {})
    if not changes:
        return full
    variant = _rebuilt(full, seed, changes)
    share_initial_tensors(variant, full, own)
    return variant


def _rebuilt(network: Fuser, seed: int, changes: Mapping[str, Any]) -> Fuser:
    """Return an untrained network of the same kind with other fields in its configuration."""
    if not changes:
        return network
    fields = {field.name for field in dataclasses.fields(network.config)}
    if not fields.issuperset(changes):
        odd = ", ".join(sorted(changes.keys() - fields))
        raise UsageError(
            f"model {network.name!r}: its {odd} cannot be changed; its fields: "
            f"{', '.join(sorted(fields))}"
        )
    kind: Any = type(network)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        rebuilt: Fuser = kind(network.name, dataclasses.replace(network.config, **changes))
    return rebuilt
