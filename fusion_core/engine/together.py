"""Pairs of several streams in one pass of the network that they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from fusion_core.engine.picture_io import NetworkPicture, to_tensor
from fusion_core.engine.torch_engine import Engine, PreparedPair
from fusion_core.models import Cues


def run_together(
    engine: Engine, prepared: Sequence[PreparedPair]
) -> list[tuple[NetworkPicture, float]]:
    """Return what the network makes of each pair, and the milliseconds of the pass.

    A GPU takes little longer for some pairs than for one. Each pair keeps its own cues and memory
    bank, so that the result is that of a pass of its own.

    Args:
        engine: Any engine of the network.
        prepared: Pairs of one size, with the same kinds of cues.
    """
    device = torch.device(engine.device)
    visible = torch.cat([to_tensor(each.seen, device) for each in prepared])
    hot = torch.stack([torch.from_numpy(each.thermal).to(device)[None] for each in prepared])
    made, network_ms = engine.forward(visible, hot, _joined([each.cues for each in prepared]))
    return [(_one(made, index), network_ms) for index in range(len(prepared))]


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


def _one(made: NetworkPicture, index: int) -> NetworkPicture:
    """Return one picture of a batch, as a batch of one."""

    def pick(part: Tensor | None) -> Tensor | None:
        return None if part is None else part[index : index + 1]

    return NetworkPicture(
        made.luma[index : index + 1],
        pick(made.image),
        pick(made.chroma),
        pick(made.memory_query),
        pick(made.shares),
    )
