"""Equal beginnings for variants of a network.

A part left out of a constructor changes every random number that is drawn after it, so that a
network and its ablation begin from different weights in all of their layers, not only in the part
that differs. Their comparison is then one of two seeds as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn


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
def share_initial_tensors(variant: nn.Module, reference: nn.Module) -> SharedTensors:
    """Give a variant every initial tensor, parameter or buffer, that both networks have.

    Args:
        variant: Changed in place.
        reference: The full network as it was initialised.
    """
    given, wanted = reference.state_dict(), variant.state_dict()
    shared = tuple(
        name
        for name, tensor in wanted.items()
        if name in given and given[name].shape == tensor.shape
    )
    for name in shared:
        wanted[name].copy_(given[name])
    return SharedTensors(shared, tuple(name for name in wanted if name not in shared))
