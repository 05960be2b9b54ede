"""Pictures as tensors of PyTorch, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from fusion_core.engine.picture_io import NetworkPicture
from fusion_core.models import Cues, Fuser
from fusion_core.models.colour import luma_of
from fusion_core.types import FloatImage, UInt8Image


@dataclass(frozen=True, slots=True, eq=False)
class NetworkTensors:
    """What a network made of a batch of ``B`` pairs.

    Attributes:
        luma: ``Bx1xHxW`` float32 luma of the results in [0, 1].
        image: ``Bx3xHxW`` RGB in [0, 1], of a network that gives it.
        chroma: ``Bx2xHxW`` Cb and Cr in [0, 1], of a network that fuses luma and gives them.
        memory_query: ``BxD`` scene vectors, of a network with memory.
        shares: ``Bx2xhxw`` shares of the visible and the thermal pictures, at a quarter of the
            size, of a network that has them.
    """

    luma: Tensor
    image: Tensor | None = None
    chroma: Tensor | None = None
    memory_query: Tensor | None = None
    shares: Tensor | None = None

    def picture(self, index: int) -> NetworkPicture:
        """Return one of the results."""
        query = self.memory_query
        return NetworkPicture(
            self.luma[index, 0].cpu().numpy(),
            _pixels(self.image, index),
            _pixels(self.chroma, index),
            None if query is None else query[index].float().cpu().numpy(),
            None if self.shares is None else self.shares[index].cpu().numpy(),
        )


def fuse_tensors(network: Fuser, visible: Tensor, thermal: Tensor, cues: Cues) -> NetworkTensors:
    """Run a network.

    Args:
        network: The network.
        visible: ``BxCxHxW`` of what it sees of the visible pictures, in [0, 1].
        thermal: ``Bx1xHxW`` in [0, 1].
        cues: What else is known.
    """
    if network.luma_path is not None:
        luma = network.luma_path.forward_luma(thermal, visible, cues)
        query = luma.query if network.features.uses_memory else None
        return NetworkTensors(luma.fused.float(), chroma=luma.chroma, memory_query=query)
    output = network(visible, thermal.expand(-1, 3, -1, -1), cues)
    image = output.image.float()
    decision = output.decision
    return NetworkTensors(
        luma_of(image),
        image=image,
        memory_query=output.memory_query,
        shares=None if decision is None else _quarter(decision.pixels.float()),
    )


def on_device(array: NDArray[Any], device: torch.device) -> Tensor:
    """Return an array as a tensor.

    A view that torch cannot take, such as BGR turned into RGB, or that must not be written to, is
    copied.
    """
    return torch.from_numpy(np.require(array, requirements=["C", "W"])).to(device)


def to_tensor(picture: UInt8Image, device: torch.device) -> Tensor:
    """Return ``1xCxHxW`` in [0, 1] of an ``HxW`` or ``HxWxC`` uint8 picture."""
    pixels = on_device(picture, device)
    planes = pixels[None] if pixels.ndim == 2 else pixels.permute(2, 0, 1)
    return planes[None].float().mul_(1 / 255)


def _quarter(shares: Tensor) -> Tensor:
    """Return shares at a quarter of the size, for people to look at."""
    size = [max(1, edge // 4) for edge in shares.shape[-2:]]
    return F.interpolate(shares, size, mode="area")


def _pixels(planes: Tensor | None, index: int) -> FloatImage | None:
    if planes is None:
        return None
    array: FloatImage = planes[index].float().permute(1, 2, 0).contiguous().cpu().numpy()
    return array
