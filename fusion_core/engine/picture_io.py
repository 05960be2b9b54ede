"""How a camera's 8-bit picture goes to a network and its result comes back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from fusion_core.engine.colour import to_rgb, to_uint8
from fusion_core.engine.temporal_smoothing import TemporalSmoother
from fusion_core.models import Cues, Fuser, LumaFuser
from fusion_core.models.colour import luma_of
from fusion_core.types import FloatImage, UInt8Image


@dataclass(frozen=True, slots=True)
class CameraPicture:
    """A visible picture, split as the network takes it.

    Attributes:
        pixels: ``HxWx3`` uint8, YCrCb for a network that fuses luma, else RGB.
        luma: ``HxW`` uint8.
        seen: What the network sees, ``HxW`` or ``HxWx3`` uint8.
    """

    pixels: UInt8Image
    luma: UInt8Image
    seen: UInt8Image


@dataclass(frozen=True, slots=True, eq=False)
class NetworkPicture:
    """What a network made of one pair.

    Attributes:
        luma: ``1x1xHxW`` float32 luma of the result in [0, 1].
        image: ``1x3xHxW`` RGB in [0, 1], of a network that gives it.
        chroma: ``1x2xHxW`` Cb and Cr in [0, 1], of a network that fuses luma and gives them.
        memory_query: ``1xD`` scene vector, of a network with memory.
        shares: ``1x2xhxw`` shares of the visible and the thermal picture, at a quarter of the size,
            of a network that has them.
    """

    luma: Tensor
    image: Tensor | None = None
    chroma: Tensor | None = None
    memory_query: Tensor | None = None
    shares: Tensor | None = None


class PictureIO(ABC):
    """Converts between 8-bit pictures and tensors for one network."""

    @abstractmethod
    def read(self, visible: UInt8Image) -> CameraPicture:
        """Split an ``HxWx3`` RGB picture."""

    @abstractmethod
    def cues(self, camera: CameraPicture, cues: Cues, device: torch.device) -> Cues:
        """Return the cues with what the network takes of the camera's colour."""

    @abstractmethod
    def fuse(self, visible: Tensor, thermal: Tensor, cues: Cues) -> NetworkPicture:
        """Run the network.

        Args:
            visible: ``1xCxHxW`` of what it sees of the visible picture, in [0, 1].
            thermal: ``1x1xHxW`` in [0, 1].
            cues: What else is known.
        """

    @abstractmethod
    def write(
        self,
        made: NetworkPicture,
        camera: CameraPicture,
        weight: FloatImage | None,
        smooth: Smooth | None,
    ) -> UInt8Image:
        """Return the result as ``HxWx3`` uint8 RGB.

        Args:
            made: What the network made.
            camera: The visible picture; its pixels may be overwritten.
            weight: ``HxW`` share of the result in [0, 1], the rest is the visible picture; None
                for all.
            smooth: Smooths the result's luma over time; None leaves it.
        """


@dataclass(frozen=True, slots=True)
class Smooth:
    """A temporal smoother at one frame.

    Attributes:
        smoother: The smoother.
        stamp_ns: Capture time of the frame.
    """

    smoother: TemporalSmoother
    stamp_ns: int

    def __call__(self, luma: FloatImage) -> FloatImage:
        """Return the smoothed luma, ``HxW`` float32."""
        return self.smoother.smooth(luma, self.stamp_ns)


class LumaIO(PictureIO):
    """For a network that fuses luma: the chroma stays 8-bit, or is the one that it gives.

    Args:
        network: The network.
    """

    def __init__(self, network: LumaFuser) -> None:
        self._network = network

    def read(self, visible: UInt8Image) -> CameraPicture:
        """Split an ``HxWx3`` RGB picture into luma and chroma."""
        ycrcb = np.asarray(cv2.cvtColor(visible, cv2.COLOR_RGB2YCrCb), np.uint8)
        luma = np.asarray(cv2.extractChannel(ycrcb, 0), np.uint8)
        return CameraPicture(ycrcb, luma, luma)

    def cues(self, camera: CameraPicture, cues: Cues, device: torch.device) -> Cues:
        """Return the cues with the camera's chroma, for a network that looks at it."""
        if not self._network.features.uses_chroma:
            return cues
        swapped = torch.from_numpy(camera.pixels[..., 2:0:-1].copy()).to(device)
        return replace(cues, chroma=swapped.permute(2, 0, 1)[None].float().mul_(1 / 255))

    def fuse(self, visible: Tensor, thermal: Tensor, cues: Cues) -> NetworkPicture:
        """Run the network on luma."""
        made = self._network.forward_luma(thermal, visible, cues)
        return NetworkPicture(made.fused.float(), chroma=made.chroma, memory_query=made.query)

    def write(
        self,
        made: NetworkPicture,
        camera: CameraPicture,
        weight: FloatImage | None,
        smooth: Smooth | None,
    ) -> UInt8Image:
        """Put the fused luma under the chroma."""
        luma = made.luma[0, 0].cpu().numpy()
        fused = _to_levels(smooth(luma) if smooth else luma)
        if weight is not None:
            fused = to_uint8((weight * fused + (1 - weight) * camera.luma) / 255)
        if made.chroma is not None:
            chroma = _to_levels(made.chroma[0].float().permute(1, 2, 0).contiguous().cpu().numpy())
            cv2.mixChannels([chroma], [camera.pixels], [0, 2, 1, 1])
        cv2.insertChannel(fused, camera.pixels, 0)
        return to_rgb(camera.pixels)


class RgbIO(PictureIO):
    """For a network that gives the colour picture itself.

    Args:
        network: The network.
    """

    def __init__(self, network: Fuser) -> None:
        self._network = network

    def read(self, visible: UInt8Image) -> CameraPicture:
        """Take an ``HxWx3`` RGB picture as it is."""
        luma = np.asarray(cv2.cvtColor(visible, cv2.COLOR_RGB2GRAY), np.uint8)
        return CameraPicture(visible, luma, visible)

    def cues(self, camera: CameraPicture, cues: Cues, device: torch.device) -> Cues:  # noqa: ARG002
        """Return the cues as they are: the network sees the colour."""
        return cues

    def fuse(self, visible: Tensor, thermal: Tensor, cues: Cues) -> NetworkPicture:
        """Run the network on RGB."""
        output = self._network(visible, thermal.expand(-1, 3, -1, -1), cues)
        image = output.image.float()
        decision = output.decision
        shares = None if decision is None else _quarter(decision.pixels.float())
        return NetworkPicture(
            luma_of(image), image=image, memory_query=output.memory_query, shares=shares
        )

    def write(
        self,
        made: NetworkPicture,
        camera: CameraPicture,
        weight: FloatImage | None,
        smooth: Smooth | None,
    ) -> UInt8Image:
        """Shift the picture by what smoothing changes in its luma."""
        assert made.image is not None, "the network gives RGB"
        image = made.image[0].permute(1, 2, 0).contiguous().cpu().numpy()
        if smooth:
            luma = made.luma[0, 0].cpu().numpy()
            image = image + (smooth(luma) - luma)[..., None]
        if weight is not None:
            share = weight[..., None]
            image = share * image + (1 - share) * (camera.pixels / np.float32(255))
        return to_uint8(image)


def picture_io(network: Fuser) -> PictureIO:
    """Return the conversions for a network."""
    luma = network.luma_path
    return RgbIO(network) if luma is None else LumaIO(luma)


def to_tensor(picture: UInt8Image, device: torch.device) -> Tensor:
    """Return ``1xCxHxW`` in [0, 1] of an ``HxW`` or ``HxWxC`` uint8 picture."""
    pixels = torch.from_numpy(picture).to(device)
    planes = pixels[None] if pixels.ndim == 2 else pixels.permute(2, 0, 1)
    return planes[None].float().mul_(1 / 255)


def _quarter(shares: Tensor) -> Tensor:
    """Return shares at a quarter of the size, for people to look at."""
    size = [max(1, edge // 4) for edge in shares.shape[-2:]]
    return F.interpolate(shares, size, mode="area")


def _to_levels(image: FloatImage) -> UInt8Image:
    """Quantise [0, 1], which may lie below by a rounding, in one pass."""
    return np.asarray(cv2.convertScaleAbs(image, alpha=255), np.uint8)
