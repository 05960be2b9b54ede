"""Restoration by classical rules, told what is wrong: the first half of a cascade."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Final

import cv2
import numpy as np

from fusion_core.types import UInt8Image
from fusion_lab.benches.restoring.classical import dehaze


def restore(picture: UInt8Image, kinds: Collection[str]) -> UInt8Image:
    """Return a picture with the degradations that are named treated, in the order of ``RULES``.

    Args:
        picture: ``HxWx3`` uint8 RGB, or ``HxW``.
        kinds: Degradations; those without a rule are left as they are.
    """
    for kind, rule in RULES.items():
        if kind in kinds:
            picture = np.ascontiguousarray(rule(picture), np.uint8)
    return picture


def denoise(picture: UInt8Image) -> UInt8Image:
    """Remove noise by non-local means, as strong as the noise is (Immerkaer 1996)."""
    gray = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    strength = float(np.clip(_noise(np.asarray(gray, np.uint8)), 1, 40))
    # The luma of three channels is less noisy than each of them.
    colours = 1.6 * strength
    if picture.ndim == 2:
        return np.asarray(cv2.fastNlMeansDenoising(picture, None, strength, 5, 13), np.uint8)
    found = cv2.fastNlMeansDenoisingColored(picture, None, colours, colours, 5, 13)
    return np.asarray(found, np.uint8)


def brighten(picture: UInt8Image) -> UInt8Image:
    """Light the dark: a gamma that brings the mean to 110, of 255."""
    mean = float(np.clip(picture.mean(), 2, 250)) / 255
    return _gamma(picture, min(1.0, np.log(110 / 255) / np.log(mean)))


def darken(picture: UInt8Image) -> UInt8Image:
    """Darken what is too bright: a gamma that brings the mean to 120, of 255."""
    mean = float(np.clip(picture.mean(), 2, 250)) / 255
    return _gamma(picture, max(1.0, np.log(120 / 255) / np.log(mean)))


def stretch(picture: UInt8Image) -> UInt8Image:
    """Stretch the contrast between its first and last percent."""
    low, high = np.percentile(picture[::4, ::4], [1, 99])
    scaled = (picture.astype(np.float32) - low) * (255 / max(high - low, 16))
    return np.asarray(np.clip(np.rint(scaled), 0, 255), np.uint8)


def sharpen(picture: UInt8Image) -> UInt8Image:
    """Sharpen by an unsharp mask."""
    soft = cv2.GaussianBlur(picture, (0, 0), 2)
    return np.asarray(cv2.addWeighted(picture, 1.8, soft, -0.8, 0), np.uint8)


def smooth(picture: UInt8Image) -> UInt8Image:
    """Smooth blocks by a bilateral filter."""
    return np.asarray(cv2.bilateralFilter(picture, 5, 18, 2), np.uint8)


def clear_drops(picture: UInt8Image) -> UInt8Image:
    """Remove bright streaks and flakes: an opening, where it changes much."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    opened = cv2.morphologyEx(picture, cv2.MORPH_OPEN, kernel)
    bright = picture.astype(np.int16) - opened > 18
    return np.asarray(np.where(bright, cv2.medianBlur(picture, 5), picture), np.uint8)


def destripe(picture: UInt8Image) -> UInt8Image:
    """Remove column offsets: each column's mean beyond that of its surroundings."""
    gray = picture.astype(np.float32)
    means = gray.mean(axis=0, keepdims=True)
    offsets = means - cv2.GaussianBlur(means, (0, 0), 6, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(np.clip(np.rint(gray - offsets), 0, 255), np.uint8)


RULES: Final[Mapping[str, Callable[[UInt8Image], UInt8Image]]] = {
    "stripes": destripe,
    "noise": denoise,
    "jpeg": smooth,
    "rain": clear_drops,
    "snow": clear_drops,
    "haze": dehaze,
    "smoke": dehaze,
    "low_light": brighten,
    "over_exposure": darken,
    "low_contrast": stretch,
    "gaussian_blur": sharpen,
    "motion_blur": sharpen,
    "defocus": sharpen,
    "downsampling": sharpen,
}
"""Degradation -> what is done about it."""


def _noise(gray: UInt8Image) -> float:
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    response = cv2.filter2D(gray, cv2.CV_32F, kernel)[1:-1, 1:-1]
    return float(np.sqrt(np.pi / 2) * np.abs(response).mean() / 6)


def _gamma(picture: UInt8Image, power: float) -> UInt8Image:
    table = np.rint(255 * (np.arange(256) / 255) ** power).astype(np.uint8)
    return np.take(table, picture)
