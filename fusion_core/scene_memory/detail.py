"""Fine detail of an image, and how much of a remembered image's detail the present one shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.types import FloatImage

# Scales are in pixels of the reduced images, about 320 wide. Detail lies between the two sigmas:
# coarser structure is that of the smoke itself, finer structure is noise and compression.
_FINE, _COARSE = 0.7, 2.5
_WINDOW: Final = 21
_FILL_WINDOW: Final = 61
# Energy of noise and compression in grey levels squared, and energy at which the detail of a
# window counts half when its surroundings vote.
_NOISE: Final = 1.0
_SURE: Final = 8.0
# The mean of a darker picture explains this much loss of contrast at most: what is darker than a
# quarter is hidden, not dimmed.
_DARKEST: Final = 0.25


@dataclass(frozen=True, slots=True)
class Detail:
    """A reduced image's luma, its detail and what follows from both.

    Attributes:
        luma: ``hxw`` float32 in grey levels of 0 to 255.
        high: Detail, the difference of two Gaussians, in grey levels.
        mean: Luma averaged over a window.
        energy: Squared detail averaged over a window.
    """

    luma: FloatImage
    high: FloatImage
    mean: FloatImage
    energy: FloatImage

    @property
    def contrast(self) -> FloatImage:
        """Energy relative to the mean luma: dimming leaves it as it is, a veil lowers it."""
        ratio: FloatImage = self.energy / (self.mean**2 + 100.0)
        return ratio


def detail_of(luma: FloatImage) -> Detail:
    """Return the detail of a reduced luma image, ``hxw`` float32 in [0, 255]."""
    high = detail_layer(luma)
    return Detail(luma, high, average(luma), average(high * high))


def detail_layer(image: NDArray[Any]) -> FloatImage:
    """Return the difference of two Gaussians, in the units of the image."""
    return blurred(image, _FINE) - blurred(image, _COARSE)


def blurred(image: NDArray[Any], sigma: float) -> FloatImage:
    """Return an image under a Gaussian of this many pixels."""
    return as_float(cv2.GaussianBlur(image, (0, 0), sigma))


def as_float(image: NDArray[Any]) -> FloatImage:
    """Return an image as float32; one that is float32 is not copied."""
    return image.astype(np.float32, copy=False)


def average(image: NDArray[Any], window: int = _WINDOW) -> FloatImage:
    """Return the mean over a square window around each pixel, the border mirrored."""
    return as_float(cv2.blur(image, (window, window), borderType=cv2.BORDER_REFLECT))


@dataclass(frozen=True, slots=True)
class Comparison:
    """The detail that is seen now beside the one that was seen before.

    Attributes:
        now: What is seen.
        before: What is remembered.
        shared: Product of both details averaged over a window.
    """

    now: Detail
    before: Detail
    shared: FloatImage

    @classmethod
    def of(cls, now: Detail, before: Detail) -> Comparison:
        """Compare two images of one place."""
        return cls(now, before, average(now.high * before.high))

    def transmission(self) -> FloatImage:
        """Return the share of the remembered contrast that still reaches the camera, in [0, 1].

        A veil of transmission t in front of a scene J gives t J + (1 - t) A with a smooth airlight
        A (Koschmieder's law), so t is the slope of the present detail over the remembered one. What
        is merely darker by the factor g has the slope g as well; dividing by the ratio of the mean
        lumas leaves t. Windows without remembered detail take the value of their surroundings.
        """
        before = self.before
        slope = (self.shared + _NOISE) / (before.energy + _NOISE)
        dimmed = np.clip(self.now.mean / np.maximum(before.mean, 1.0), _DARKEST, 1.0)
        share = np.clip(slope / dimmed, 0.0, 1.0)
        sure = before.energy / (before.energy + _SURE)
        around = average(share * sure, _FILL_WINDOW) / np.maximum(average(sure, _FILL_WINDOW), 1e-3)
        result: FloatImage = share * sure + around * (1 - sure)
        return result

    def unexplained(self) -> FloatImage:
        """Return the present detail that a veil over the remembered scene does not explain.

        Root mean square over a small window, in grey levels: high where something new is seen.
        """
        slope = np.clip(self.shared / (self.before.energy + _NOISE), 0.0, 1.5)
        rest = self.now.high - slope * self.before.high
        result: FloatImage = np.sqrt(average(rest * rest, 5))
        return result
