"""Positions of tokens for a grid of any size."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

from fusion_core.models.blocks.constants import kept_for_sizes

_EDGE: Final = 14  # of the grid that masked autoencoders are trained on
_BASE: Final = 10_000.0


@kept_for_sizes(32)
def sine_grid(rows: int, columns: int, width: int) -> Tensor:
    """Return sine and cosine positions ``1xNxC`` of a grid, row by row.

    They are those of a 14x14 grid (He et al. 2022, appendix A), stretched over the picture.

    Args:
        rows: Rows of the grid.
        columns: Its columns.
        width: Channels ``C``, a multiple of four.
    """
    places = torch.arange(_EDGE, dtype=torch.float64)
    rates = _BASE ** -(torch.arange(width // 4, dtype=torch.float64) / (width // 4))
    angles = places[:, None] * rates
    line = torch.cat((angles.sin(), angles.cos()), 1).float()
    # The first half of the channels says the column, the second the row.
    across = line[None].expand(_EDGE, -1, -1)
    grid = torch.cat((across, across.transpose(0, 1)), 2).permute(2, 0, 1)[None]
    if (rows, columns) != (_EDGE, _EDGE):
        grid = F.interpolate(grid, (rows, columns), mode="bilinear", align_corners=False)
    return grid.flatten(2).transpose(1, 2)
