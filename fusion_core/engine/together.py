"""Pairs of several streams in one pass of the network that they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from fusion_core.engine.pair_engine import PreparedPair
from fusion_core.engine.picture_io import NetworkPicture
from fusion_core.engine.torch_engine import Engine
from fusion_core.models import Cues


def run_together(
    prepared: Sequence[tuple[Engine, PreparedPair]],
) -> list[tuple[NetworkPicture, float]]:
    """Return what the network makes of each pair, and the milliseconds of the pass.

    A GPU takes little longer for some pairs than for one. Each pair keeps its own cues and memory
    bank, so that the result is that of a pass of its own.

    Args:
        prepared: Engines of one network, each with its pair; the pairs are of one size and have
            the same kinds of cues.
    """
    parts = [engine.tensors(pair) for engine, pair in prepared]
    visible, hot, cues = zip(*parts, strict=True)
    made, network_ms = prepared[0][0].forward(torch.cat(visible), torch.cat(hot), _joined(cues))
    return [(made.picture(index), network_ms) for index in range(len(prepared))]


def _joined(cues: Sequence[Cues]) -> Cues:
    """Return the cues of a batch."""
    banks = [each.memory for each in cues if each.memory is not None]
    return replace(
        cues[0],
        chroma=_cat([each.chroma for each in cues]),
        tokens=_cat([each.tokens for each in cues]),
        mask=_cat([each.mask for each in cues]),
        memory=torch.stack(banks) if banks else None,
    )


def _cat(parts: Sequence[Tensor | None]) -> Tensor | None:
    given = [part for part in parts if part is not None]
    return torch.cat(given) if given else None
