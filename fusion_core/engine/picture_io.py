"""How a camera's 8-bit picture goes to a network and its result comes back."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import cv2
import numpy as np

from fusion_core.engine.colour import to_rgb, to_uint8
from fusion_core.engine.temporal_smoothing import TemporalSmoother
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
        luma: ``HxW`` float32 luma of the result in [0, 1].
        image: ``HxWx3`` float32 RGB in [0, 1], of a network that gives it.
        chroma: ``HxWx2`` float32 Cb and Cr in [0, 1], of a network that fuses luma and gives them.
        memory_query: Scene vector ``D``, of a network with memory.
        shares: ``2xhxw`` float32 shares of the visible and the thermal picture, at a quarter of the
            size, of a network that has them.
    """

    luma: FloatImage
    image: FloatImage | None = None
    chroma: FloatImage | None = None
    memory_query: FloatImage | None = None
    shares: FloatImage | None = None

    @property
    def is_finite(self) -> bool:
        """Whether all pixels are numbers."""
        planes = (self.luma, self.image, self.chroma)
        # One pass: what is not finite stays so in a sum, and sums of float32 fit into a float64.
        sums = (cv2.sumElems(plane) for plane in planes if plane is not None)
        return all(math.isfinite(value) for plane in sums for value in plane)


class PictureIO(ABC):
    """Converts between a camera's pictures and those of one kind of network."""

    @abstractmethod
    def read(self, visible: UInt8Image) -> CameraPicture:
        """Split an ``HxWx3`` RGB picture."""

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
    """For a network that fuses luma: the chroma stays 8-bit, or is the one that it gives."""

    def read(self, visible: UInt8Image) -> CameraPicture:
        """Split an ``HxWx3`` RGB picture into luma and chroma."""
        ycrcb = np.asarray(cv2.cvtColor(visible, cv2.COLOR_RGB2YCrCb), np.uint8)
        luma = np.asarray(cv2.extractChannel(ycrcb, 0), np.uint8)
        return CameraPicture(ycrcb, luma, luma)

    def write(
        self,
        made: NetworkPicture,
        camera: CameraPicture,
        weight: FloatImage | None,
        smooth: Smooth | None,
    ) -> UInt8Image:
        """Put the fused luma under the chroma."""
        fused = _to_levels(smooth(made.luma) if smooth else made.luma)
        if weight is not None:
            fused = to_uint8((weight * fused + (1 - weight) * camera.luma) / 255)
        if made.chroma is not None:
            cv2.mixChannels([_to_levels(made.chroma)], [camera.pixels], [0, 2, 1, 1])
        return to_rgb(fused, camera.pixels)


class RgbIO(PictureIO):
    """For a network that gives the colour picture itself."""

    def read(self, visible: UInt8Image) -> CameraPicture:
        """Take an ``HxWx3`` RGB picture as it is."""
        luma = np.asarray(cv2.cvtColor(visible, cv2.COLOR_RGB2GRAY), np.uint8)
        return CameraPicture(visible, luma, visible)

    def write(
        self,
        made: NetworkPicture,
        camera: CameraPicture,
        weight: FloatImage | None,
        smooth: Smooth | None,
    ) -> UInt8Image:
        """Shift the picture by what smoothing changes in its luma."""
        assert made.image is not None, "the network gives RGB"
        image = made.image
        if smooth:
            image = image + (smooth(made.luma) - made.luma)[..., None]
        if weight is not None:
            share = weight[..., None]
            image = share * image + (1 - share) * (camera.pixels / np.float32(255))
        return to_uint8(image)


def _to_levels(image: FloatImage) -> UInt8Image:
    """Quantise [0, 1], which may lie below by a rounding, in one pass."""
    return np.asarray(cv2.convertScaleAbs(image, alpha=255), np.uint8)
