"""Things of any shape pasted into crops: objects whose mask is known exactly, of no known kind."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.types import FloatImage, UInt8Image

_SIZE = (10.0, 150.0)  # pixels, the longer edge
_CORNERS = (5, 11)
_THERMAL, _VISIBLE = (0.06, 0.45), (0.0, 0.4)
_BLUR = (0.4, 1.2)


def paste_thing(planes: FloatImage, rng: np.random.Generator) -> UInt8Image:
    """Paste a thing into ``CxHxW`` planes, thermal and visible first, in place; return its mask.

    It is warmer or colder than what it covers, and in the visible picture brighter, darker or
    hardly to be seen; both pictures keep some of the texture of another part of the crop.

    Args:
        planes: Float in [0, 1].
        rng: Source of the random choices.

    Returns:
        ``HxW`` uint8 in {0, 1}; empty where the shape is too thin for a pixel.
    """
    mask = draw_shape(planes.shape[1:], rng)
    if not mask.any():
        return mask
    cover = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), rng.uniform(*_BLUR))
    height, width = mask.shape
    shift = (int(rng.integers(height)), int(rng.integers(width)))
    slope = np.linspace(-1, 1, height, dtype=np.float32)[:, None] * rng.uniform(-0.1, 0.1)
    for plane, (least, most) in zip(planes[:2], (_THERMAL, _VISIBLE), strict=True):
        ground = float(plane[mask > 0].mean())
        texture = np.roll(plane, shift, (0, 1))
        texture = (texture - texture.mean()) * rng.uniform(0, 0.6)
        sign = 1 if rng.random() < 0.7 else -1
        thing = ground + sign * rng.uniform(least, most) + texture + slope
        plane[:] = np.clip(plane + cover * (thing - plane), 0, 1)
    return mask


def draw_shape(size: tuple[int, ...], rng: np.random.Generator) -> UInt8Image:
    """Return a random shape that lies in a picture at least in part, ``HxW`` in {0, 1}."""
    mask = np.zeros(size[:2], np.uint8)
    longer = np.exp(rng.uniform(*np.log(_SIZE)))
    across, along = longer * np.array([rng.uniform(0.3, 1), 1.0])[:: rng.choice((-1, 1))] / 2
    middle = rng.uniform((0.1, 0.1), (0.9, 0.9)) * size[1::-1]
    kind = rng.random()
    if kind < 0.3:
        angles = 2 * np.pi / 24 * np.arange(24)
        reach: NDArray[np.float64] = np.ones(24)
    elif kind < 0.5:
        angles = np.pi / 4 + np.pi / 2 * np.arange(4)
        reach = np.full(4, np.sqrt(2))
    else:
        count = int(rng.integers(*_CORNERS))
        angles = np.sort(rng.random(count)) * 2 * np.pi
        reach = rng.uniform(0.5, 1.2, count)
    corners = (
        middle + np.stack([across * np.cos(angles), along * np.sin(angles)], 1) * reach[:, None]
    )
    cv2.fillPoly(mask, [np.rint(16 * corners).astype(np.int32)], 1, cv2.LINE_8, 4)
    return mask
