"""Plain filters that clear noise, streaks and flakes, for a network to choose from."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

FILTERED: Final = 4
"""Pictures that :func:`filtered` gives."""
# Radius and variance below which a surface counts as flat.
_SMOOTHERS: Final = ((1, 2e-3), (2, 1e-2), (4, 4e-2))
_OPENING: Final = 5


def filtered(luma: Tensor) -> Tensor:
    """Return ``BxFILTEREDxHxW`` of luma ``Bx1xHxW``: three smoothers that keep edges, an opening.

    The smoothers are guided filters by the picture itself (He, Sun, Tang 2010); the opening takes
    away what is brighter than its surroundings and narrow.
    """
    found = [_smooth(luma, radius, flat) for radius, flat in _SMOOTHERS]
    reach = _OPENING // 2
    eroded = -F.max_pool2d(-luma, _OPENING, 1, reach)
    found.append(F.max_pool2d(eroded, _OPENING, 1, reach))
    return torch.cat(found, 1)


def box(x: Tensor, radius: int) -> Tensor:
    """Return the mean over the square around every pixel, with repeated borders."""
    edge = 2 * radius + 1
    padded = F.pad(x, (radius, radius, radius, radius), mode="replicate")
    return F.avg_pool2d(F.avg_pool2d(padded, (edge, 1), 1), (1, edge), 1)


def _smooth(luma: Tensor, radius: int, flat: float) -> Tensor:
    mean, square = box(torch.cat((luma, luma * luma), 1), radius).chunk(2, 1)
    variance = (square - mean * mean).clamp_min(0)
    slope = variance / (variance + flat)
    slope, offset = box(torch.cat((slope, (1 - slope) * mean), 1), radius).chunk(2, 1)
    return slope * luma + offset
