"""Pairs of kinds that no model here was trained on: medical ones, and bands of a satellite."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from fusion_core.types import FloatImage, UInt8Image

_NOISE: Final = 2.0
_COARSE: Final = 4  # pixels of the sharp band per pixel of the colour bands, each way


def medical_pair(rng: np.random.Generator, edge: int = 256) -> tuple[UInt8Image, UInt8Image]:
    """Return a head phantom as two kinds of scanner show it, ``edge x edge x 3`` uint8 gray as RGB.

    The first shows bone brightly and soft tissue flat, the second soft tissue in contrast and no
    bone; each has a lesion that the other does not show.
    """
    parts = {
        name: _ellipse(edge, where)
        for name, where in {
            "skull": (0.0, 0.0, 0.72, 0.92, 0.0),
            "brain": (0.0, 0.0, 0.64, 0.84, 0.0),
            "left": (-0.22, 0.05, 0.11, 0.32, 18.0),
            "right": (0.22, 0.05, 0.14, 0.36, -18.0),
            "nucleus": (0.0, -0.35, 0.18, 0.14, 0.0),
            "bleeding": (0.36, -0.42, 0.09, 0.06, 30.0),
            "tumour": (-0.3, -0.45, 0.1, 0.12, 0.0),
        }.items()
    }
    folds = _texture(rng, edge)
    bone = 235 * (parts["skull"] - parts["brain"]) + 70 * parts["brain"]
    bone += 120 * parts["bleeding"]
    soft = (110 + 45 * folds) * parts["brain"] + 25 * (parts["skull"] - parts["brain"])
    soft += 80 * (parts["left"] + parts["right"]) - 45 * parts["nucleus"] + 70 * parts["tumour"]
    return _picture(bone, rng), _picture(soft, rng)


def satellite_pair(picture: UInt8Image) -> tuple[UInt8Image, UInt8Image]:
    """Return a sharp gray band, and the colours of the same picture at a quarter of its size.

    Args:
        picture: ``HxWx3`` uint8 RGB.

    Returns:
        The colours, enlarged again, and the band as gray RGB; both ``HxWx3`` uint8.
    """
    height, width = picture.shape[:2]
    small = max(1, width // _COARSE), max(1, height // _COARSE)
    coarse = cv2.resize(picture, small, interpolation=cv2.INTER_AREA)
    colours = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    band = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    return np.asarray(colours, np.uint8), np.dstack([band, band, band])


def _ellipse(edge: int, place: tuple[float, float, float, float, float]) -> FloatImage:
    """Return an ellipse of value 1 with a soft border.

    Args:
        edge: Of the picture in pixels.
        place: Middle to the right and down and half axes, in units of half the edge; degrees.
    """
    x, y, wide, high, degrees = place
    centre = ((1 + x) * edge / 2, (1 + y) * edge / 2)
    drawn = np.zeros((edge, edge), np.float32)
    cv2.ellipse(drawn, (centre, (wide * edge, high * edge), degrees), 1.0, -1)
    return np.asarray(cv2.GaussianBlur(drawn, (0, 0), 1.0), np.float32)


def _texture(rng: np.random.Generator, edge: int) -> FloatImage:
    """Return folds of about a twentieth of the edge, deviation 1."""
    smooth = cv2.GaussianBlur(rng.normal(size=(edge, edge)).astype(np.float32), (0, 0), edge / 50)
    return np.asarray(smooth / smooth.std(), np.float32)


def _picture(levels: FloatImage, rng: np.random.Generator) -> UInt8Image:
    noisy = levels + rng.normal(0, _NOISE, levels.shape)
    gray = np.rint(np.clip(noisy, 0, 255)).astype(np.uint8)
    return np.dstack([gray, gray, gray])
