"""Statistics of whole pictures that tell what degrades them."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

from fusion_core.models.mmaif.shrinkage import BLOCK, cosines

_PARTS: Final = (0.1, 0.5, 0.9)  # quantiles of what is measured per place
_QUIET: Final = 0.2  # share of the blocks that hold less of a frequency
_TINY: Final = 1e-3
_LOCAL, _WHOLE, _COLOURS = 8, 6, 4
STATISTICS: Final = _LOCAL * (len(_PARTS) + 3) + _WHOLE + 2 * (BLOCK**2 - 1) + _COLOURS
"""Numbers that tell of one picture."""


def statistics_of(planes: Tensor, local: Tensor, whole: Tensor) -> Tensor:
    """Return ``BxSTATISTICS`` of pictures.

    Of what is measured per place the mean, spread, extreme and quantiles; what is measured on the
    whole; of every frequency of 8x8 blocks how much there is of it on average, and in the blocks
    with little; of the colours how strong they are and how they ripple.

    Args:
        planes: ``Bx3xHxW`` luma, Cb and Cr in [0, 1], multiples of 8 high and wide.
        local: ``Bx8xH/8xW/8`` measures per place.
        whole: ``Bx6`` measures of the whole.
    """
    places = local.flatten(2)
    parts = places.quantile(places.new_tensor(_PARTS), 2).permute(1, 0, 2).flatten(1)
    blocks = F.unfold(planes[:, :1], BLOCK, stride=BLOCK)
    waves = (cosines(BLOCK).to(planes) @ blocks)[:, 1:].abs()
    amounts = torch.cat((waves.mean(2), waves.quantile(_QUIET, 2)), 1)
    chroma = planes[:, 1:] - 0.5
    ripple = chroma.diff(dim=-1).diff(dim=-2).abs().mean((2, 3))
    return torch.cat(
        (
            places.mean(2),
            whole,
            places.std(2),
            places.amax(2),
            parts,
            (amounts + _TINY).log(),
            chroma.abs().mean((2, 3)),
            (ripple + _TINY).log(),
        ),
        1,
    )
