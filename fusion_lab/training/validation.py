"""What a run shows of itself: losses and a picture sheet of the scenes it never trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from fusion_core.errors import SinkError
from fusion_core.models import LumaFuser
from fusion_core.types import UInt8Image
from fusion_lab.training.dataset import Pair, whole_pair
from fusion_lab.training.objective import objective
from fusion_lab.training.recipe import LossWeights

_SHEET_ROWS, _TILE_HEIGHT = 8, 240


@torch.no_grad()
def validate(
    model: LumaFuser, pairs: Sequence[Pair], weights: LossWeights, sheet: Path
) -> dict[str, float]:
    """Fuse whole held-out pictures, write their sheet and return the mean weighted terms.

    Args:
        model: Network in evaluation mode; reads its own slots.
        pairs: Held-out pairs; none gives no sheet and no terms.
        weights: Weights of the objective.
        sheet: PNG to write: a row per pair, visible, thermal and fused.

    Raises:
        SinkError: The sheet cannot be written.
    """
    sums: dict[str, float] = {}
    rows: list[tuple[Tensor, ...]] = []
    chosen = set(np.linspace(0, len(pairs) - 1, _SHEET_ROWS).astype(int).tolist())
    for index, pair in enumerate(pairs):
        batch = type(whole := whole_pair(pair))(*(plane.to(model.bank.device) for plane in whole))
        output = model.forward_luma(batch.thermal, batch.visible)
        for name, value in objective(output, batch, weights).items():
            sums[name] = sums.get(name, 0.0) + float(value) / len(pairs)
        if index in chosen:
            rows.append((batch.visible, batch.thermal, output.fused))
    if rows:
        write_sheet(sheet, rows)
    return {name: round(value, 5) for name, value in sums.items()}


def _row(*images: Tensor) -> UInt8Image:
    """Return images of one size side by side, at the sheet's tile height."""
    side_by_side = torch.cat([image[0, 0].float().cpu() for image in images], dim=1)
    pixels = side_by_side.clamp(0, 1).mul(255).round().numpy().astype(np.uint8)
    width = round(pixels.shape[1] * _TILE_HEIGHT / pixels.shape[0])
    resized = cv2.resize(pixels, (width, _TILE_HEIGHT), interpolation=cv2.INTER_AREA)
    return np.asarray(resized, dtype=np.uint8)


def write_sheet(sheet: Path, pictures: Sequence[Sequence[Tensor]]) -> None:
    """Write pictures of one height, ``1x1xHxW`` in [0, 1] each, as a PNG with a row per entry.

    Raises:
        SinkError: The sheet cannot be written.
    """
    rows = [_row(*images) for images in pictures]
    width = max(row.shape[1] for row in rows)
    padded = [np.pad(row, ((0, 4), (0, width - row.shape[1]))) for row in rows]
    sheet.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(sheet), np.vstack(padded)):
        raise SinkError(f"{sheet}: the validation sheet cannot be written; check the folder")
