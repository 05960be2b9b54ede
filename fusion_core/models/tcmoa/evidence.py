"""What speaks for a pixel of a picture: sharpness, contrast, exposure and colour at every scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fusion_core.models.colour import luma_of
from fusion_core.models.tcmoa.pyramids import box, gaussian, laplacian, resize

CLUES: Final = 7
"""Channels of :func:`clues`."""
EXPOSURE_CLUES: Final = 3
"""The first of them, about luma and colour; the others are about detail."""
_LEAST: Final = 0.004  # about a grey level: what is below cannot be told from noise
_WELL: Final = 0.2  # deviation of well-exposedness of Mertens et al. 2007
_HIDDEN: Final = 16
_TOKEN_SCALE: Final = 4  # halvings from pixels to tokens


def clues(picture: Tensor, steps: int) -> list[Tensor]:
    """Return ``BxCLUESxhxw`` of ``Bx3xHxW`` RGB in [0, 1] and its halvings, the finest first.

    Channels: luma; how well exposed, as a logarithm; saturation; contrast at the scale; fine and
    next coarser detail of the full picture, averaged; deviation around the pixel. The last four are
    logarithms, scaled to about [-1, 2].
    """
    luma = luma_of(picture)
    levels = gaussian(luma, steps + 1)
    details = laplacian(levels)
    colours = gaussian(picture, steps)
    fine, coarse = details[0].abs(), details[1].abs()
    sharp = gaussian(box(torch.cat((fine, resize(coarse, fine)), 1), 1), steps)
    found = []
    for level in range(steps + 1):
        here, colour = levels[level], colours[level]
        contrast = box(details[level].abs(), 1)
        mean = box(here, 2)
        deviation = (box(here * here, 2) - mean * mean).clamp_min(1e-8).sqrt()
        measured = torch.cat((contrast, sharp[level], deviation), 1)
        logs = ((measured + _LEAST).log() + 4) / 1.5
        spread = colour.amax(1, keepdim=True) - colour.amin(1, keepdim=True)
        well = 1 - (here - 0.5) ** 2 / (6 * _WELL**2)
        found.append(torch.cat((here - 0.5, well, spread, logs), 1))
    return found


def at_tokens(found: Sequence[Sequence[Tensor]], grid: tuple[int, int]) -> Tensor:
    """Return ``BxN(2 CLUES)``: the clues of two sources as the tokens see them.

    Args:
        found: Per source the clues of each scale, the finest first.
        grid: Rows and columns of the tokens.
    """
    near = min(_TOKEN_SCALE, len(found[0]) - 1)
    seen = torch.cat([levels[near] for levels in found], 1)
    seen = F.interpolate(seen, grid, mode="bilinear", align_corners=False)
    return seen.flatten(2).transpose(1, 2)


class Evidence(nn.Module):
    """Evidence for each pixel, of several kinds: the clues themselves, and what they add up to.

    The same small network reads every scale and every picture.

    Args:
        kinds: Kinds of evidence, more than there are clues.
    """

    def __init__(self, kinds: int) -> None:
        super().__init__()
        self.look = nn.Conv2d(CLUES, _HIDDEN, 3, padding=1, padding_mode="replicate")
        self.tell = nn.Conv2d(_HIDDEN, kinds - CLUES, 3, padding=1, padding_mode="replicate")

    def forward(self, found: Tensor) -> Tensor:
        """Return ``BxKxhxw`` evidence of ``BxCLUESxhxw`` clues."""
        return torch.cat((found, self.tell(F.gelu(self.look(found)))), 1)
