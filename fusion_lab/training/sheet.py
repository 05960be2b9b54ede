"""Picture sheets of held-out scenes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from fusion_core.errors import SinkError
from fusion_core.types import UInt8Image

_TILE_HEIGHT = 240


def write_sheet(sheet: Path, pictures: Sequence[Sequence[Tensor]]) -> None:
    """Write pictures of one height, ``1x1xHxW`` in [0, 1] each, as a PNG with a row per entry.

    Raises:
        SinkError: The sheet cannot be written.
    """
    rows = [_row(*images) for images in pictures]
    width = max(row.shape[1] for row in rows)
    padded = [np.pad(row, ((0, 4), (0, width - row.shape[1]))) for row in rows]
    _save(sheet, np.vstack(padded))


def write_colour_sheet(sheet: Path, rows: Sequence[Tensor]) -> None:
    """Write a PNG with the RGB pictures ``Nx3xHxW`` in [0, 1] of each row side by side.

    Raises:
        SinkError: The sheet cannot be written.
    """
    joined = torch.cat([torch.cat(list(row), 2) for row in rows], 1)
    pixels = joined.clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).cpu().numpy()
    _save(sheet, np.ascontiguousarray(pixels[..., ::-1]))


def _save(sheet: Path, pixels: UInt8Image) -> None:
    sheet.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(sheet), pixels):
        raise SinkError(f"{sheet}: the validation sheet cannot be written; check the folder")


def _row(*images: Tensor) -> UInt8Image:
    """Return images of one size side by side, at the sheet's tile height."""
    side_by_side = torch.cat([image[0, 0].float().cpu() for image in images], dim=1)
    pixels = side_by_side.clamp(0, 1).mul(255).round().numpy().astype(np.uint8)
    width = round(pixels.shape[1] * _TILE_HEIGHT / pixels.shape[0])
    resized = cv2.resize(pixels, (width, _TILE_HEIGHT), interpolation=cv2.INTER_AREA)
    return np.asarray(resized, dtype=np.uint8)
