"""Weights of a network that knew no running medians, in one that does."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from fusion_core.models import load_weights
from fusion_core.models.checkpoint import parse_config, read_architecture
from fusion_core.models.mdaif import MdaIF, MdaIFConfig


def load_widened(network: MdaIF, path: str) -> None:
    """Load weights; those of the same network without medians give one that takes none of them.

    Raises:
        WeightsError: The file is missing, torn, foreign, or of another network.
    """
    earlier = parse_config(MdaIFConfig, read_architecture(path)[1], path)
    if earlier != replace(network.config, medians=()):
        load_weights(network, path)
        return
    narrow = MdaIF(network.name, earlier)
    load_weights(narrow, path)
    widen(network, narrow)


@torch.no_grad()
def widen(wide: nn.Module, narrow: nn.Module) -> None:
    """Fill a network with one whose tensors have fewer rows or columns; the others are zero."""
    given = narrow.state_dict()
    for name, tensor in wide.state_dict().items():
        tensor.zero_()
        tensor[tuple(slice(length) for length in given[name].shape)] = given[name]
