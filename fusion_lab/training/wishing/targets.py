"""The picture that a wish asks for."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from fusion_core.models import Cues, LumaFuser
from fusion_core.models.mmaif.emphasis import hot_mask, shown_brightly, soft_rim
from fusion_core.models.mmaif.planes import to_planes
from fusion_core.sentences import Wish

_BRIGHTER, _DARKER, _CONTRAST, _COLOUR = 0.6, 1.6, 0.4, 0.8


@torch.no_grad()
def fused_by(teacher: LumaFuser, visible: Tensor, thermal: Tensor) -> Tensor:
    """Return ``Bx3xHxW`` luma, Cb and Cr of a pair: a network's luma, the visible colours.

    Args:
        teacher: Fuses luma.
        visible: ``Bx3xHxW`` RGB in [0, 1].
        thermal: ``Bx1xHxW`` in [0, 1].
    """
    planes = to_planes(visible)
    luma = teacher.forward_luma(thermal, planes[:, :1].contiguous(), Cues()).fused.float()
    return torch.cat((luma, planes[:, 1:]), 1)


def wished(planes: Tensor, thermal: Tensor, mask: Tensor | None, wish: Wish | None) -> Tensor:
    """Return a fused picture as its targets and styles are to be shown.

    Args:
        planes: ``Bx3xHxW`` luma, Cb and Cr in [0, 1].
        thermal: ``Bx1xHxW`` in [0, 1].
        mask: ``Bx1xHxW`` of what the wish names, of people and vehicles.
        wish: What is wished for.
    """
    if wish is None:
        return planes
    planes = styled(planes, wish.styles)
    hot = wish.targets.get("hot", 0.0)
    amount = hot * hot_mask(thermal)
    things = max(wish.targets.get("people", 0.0), wish.targets.get("vehicles", 0.0))
    if things and mask is not None:
        amount = torch.maximum(amount, things * soft_rim(mask))
    return torch.cat((shown_brightly(planes[:, :1], thermal, amount), planes[:, 1:]), 1)


def styled(planes: Tensor, styles: Mapping[str, float]) -> Tensor:
    """Return a picture in a style: a gamma, more contrast around its mean, more colour."""
    luma, chroma = planes[:, :1], planes[:, 1:]
    if bright := styles.get("bright", 0.0):
        luma = luma.clamp_min(1e-4) ** (_BRIGHTER**bright)
    if dark := styles.get("dark", 0.0):
        luma = luma.clamp_min(1e-4) ** (_DARKER**dark)
    if contrast := styles.get("contrast", 0.0):
        mean = luma.mean((2, 3), keepdim=True)
        luma = mean + (1 + _CONTRAST * contrast) * (luma - mean)
    if colour := styles.get("colour", 0.0):
        chroma = 0.5 + (1 + _COLOUR * colour) * (chroma - 0.5)
    return torch.cat((luma, chroma), 1).clamp(0, 1)
