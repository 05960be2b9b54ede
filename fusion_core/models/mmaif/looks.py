"""What a text opens beside the restoration: what is shown brightly, and how all of it looks."""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from torch import Tensor, nn

from fusion_core.models.mmaif.emphasis import hot_mask, shown_brightly, soft_rim
from fusion_core.models.mmaif.windows import box

GATES: Final = ("things", "hot", "bright", "dark", "contrast", "sharp", "colour")
"""What a text can open: what a mask marks, what is hot, and the styles."""
CLOSED: Final = 0.1
"""A gate whose sigmoid is below this is closed."""
_QUIET: Final = -4.0  # a gate that lets almost nothing through
_BRIGHTER, _DARKER, _CONTRAST, _SHARP, _COLOUR = 0.6, 1.6, 0.4, 0.8, 0.8


class Look(NamedTuple):
    """How far each gate is open, ``Bx1x1x1`` in [0, 1] each."""

    things: Tensor
    hot: Tensor
    bright: Tensor
    dark: Tensor
    contrast: Tensor
    sharp: Tensor
    colour: Tensor


class Looks(nn.Module):
    """Gates that the first token of a text opens.

    Args:
        text: Channels of the text's tokens.
    """

    def __init__(self, text: int) -> None:
        super().__init__()
        self.gates = nn.Linear(text, len(GATES))
        nn.init.zeros_(self.gates.weight)
        nn.init.constant_(self.gates.bias, _QUIET)

    def logits(self, text: Tensor) -> Tensor:
        """Return ``BxG`` logits of the gates, of ``BxT`` first tokens."""
        with torch.autocast(text.device.type, enabled=False):
            found: Tensor = self.gates(text.float())
        return found

    def forward(self, text: Tensor) -> Look:
        """Return how far the gates are open; those that are all but closed are closed."""
        opened = self.logits(text).sigmoid()
        opened = ((opened - CLOSED) / (1 - CLOSED)).clamp_min(0)
        return Look(*opened[..., None, None].chunk(len(GATES), 1))


def styled(planes: Tensor, look: Look) -> Tensor:
    """Return ``Bx3xHxW`` luma, Cb and Cr in the look's styles.

    A gamma, more contrast around the mean, an unsharp mask, more colour.
    """
    luma, chroma = planes[:, :1].clamp(0, 1), planes[:, 1:]
    power = _BRIGHTER**look.bright * _DARKER**look.dark
    luma = luma.clamp_min(1e-4) ** power
    mean = luma.mean((2, 3), keepdim=True)
    luma = mean + (1 + _CONTRAST * look.contrast) * (luma - mean)
    if bool((look.sharp > 0).any()):
        luma = luma + _SHARP * look.sharp * (luma - box(luma, 2))
    chroma = 0.5 + (1 + _COLOUR * look.colour) * (chroma - 0.5)
    return torch.cat((luma, chroma), 1)


def emphasised(planes: Tensor, thermal: Tensor, mask: Tensor | None, look: Look) -> Tensor:
    """Return a fused picture in which what the text names is shown brightly.

    Args:
        planes: ``Bx3xHxW`` luma, Cb and Cr.
        thermal: ``Bx1xHxW`` in [0, 1].
        mask: ``Bx1xHxW`` in [0, 1] of the things that the text names; None: none are known.
        look: How far.
    """
    amount = look.hot * hot_mask(thermal)
    if mask is not None:
        amount = torch.maximum(amount, look.things * soft_rim(mask))
    return torch.cat((shown_brightly(planes[:, :1], thermal, amount), planes[:, 1:]), 1)
