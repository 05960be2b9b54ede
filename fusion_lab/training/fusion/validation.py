"""Losses of a run on the scenes that it never trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fusion_core.models import LumaFuser
from fusion_core.types import UInt8Image
from fusion_lab.training.batches import PairBatch, whole_pair_batch
from fusion_lab.training.objective import LossWeights, objective
from fusion_lab.training.sheet import write_sheet

_SHEET_ROWS = 8


@torch.no_grad()
def validate_fusion(
    model: LumaFuser, held_out: Sequence[tuple[UInt8Image, LossWeights]], sheet: Path
) -> dict[str, float]:
    """Fuse whole held-out pictures, write their sheet and return the mean weighted terms.

    Args:
        model: Network in evaluation mode; reads its own slots.
        held_out: Planes of the held-out pairs, with the weights of their task's objective; none
            gives no sheet and no terms.
        sheet: PNG to write: a row per pair, first, second and fused.

    Raises:
        SinkError: The sheet cannot be written.
    """
    sums: dict[str, float] = {}
    rows: list[tuple[Tensor, ...]] = []
    chosen = set(np.linspace(0, len(held_out) - 1, _SHEET_ROWS).astype(int).tolist())
    for index, (planes, weights) in enumerate(held_out):
        batch = PairBatch(*(part.to(model.bank.device) for part in whole_pair_batch(planes)))
        output = model.forward_luma(batch.thermal, batch.visible)
        for name, value in objective(output, batch, weights).items():
            sums[name] = sums.get(name, 0.0) + float(value) / len(held_out)
        if index in chosen:
            rows.append((batch.visible, batch.thermal, output.fused))
    if rows:
        write_sheet(sheet, rows)
    return {name: round(value, 5) for name, value in sums.items()}
