"""An object's own pixels in its box, and their temperatures.

A box holds background, too, at its corners and between the legs. What stands out from the
background beside the box is the object: per row, so that the horizon or a warm street below a cold
sky counts as background, and in both directions, as clothes may be colder than a wall and a head
warmer.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.types import AlignedPair, Box, FloatImage, Mask, ObjectHeat

_SIDE: Final = 0.35  # width of the strips beside the box, in parts of its width
_LEAST_SIDE_PX: Final = 3
_LEAST_CONTRAST_K: Final = 0.4  # below this nothing stands out: all of the box is taken
_CLEAR: Final = 2.0  # likewise in parts of the background's spread
_NOISE_K: Final = 0.1
_MAD: Final = 1.4826  # from the median absolute to the standard deviation
_LEVELS: Final = 64
_LEAST_PART: Final = 0.15  # of the largest connected part; smaller ones are background
_LEAST_SHARE: Final = 0.05  # of the box


class _Background(NamedTuple):
    """What lies beside a box: ``H`` levels by row, and how far single pixels are from them."""

    levels: FloatImage
    spread: float


def object_heat(aligned: AlignedPair, box: Box, percentile: float) -> ObjectHeat | None:
    """Return the temperatures of an object.

    Args:
        aligned: The pair in which it was found.
        box: Its box; a pixel belongs to it where its middle lies inside.
        percentile: Which percentile to give, from 0 to 100.

    Returns:
        None where the thermal camera does not measure, or nothing in the box.
    """
    if aligned.temperature is None:
        return None
    rows, columns = _pixels(box, aligned.valid.shape)
    field = aligned.temperature[rows, columns]
    known = np.isfinite(field) & aligned.valid[rows, columns]
    if not known.any():
        return None
    own = _own_pixels(field, known, _background(aligned, rows, columns))
    values = field[own]
    return ObjectHeat(
        mean=float(values.mean(dtype=np.float64)),
        maximum=float(values.max()),
        percentile=float(np.percentile(values, percentile)),
        pixels=int(values.size),
    )


def _pixels(box: Box, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Return rows and columns of the pixels whose middle lies in a box and in the picture."""
    x, y, width, height = box
    left, right = (math.ceil(edge - 0.5) for edge in (x, x + width))
    top, bottom = (math.ceil(edge - 0.5) for edge in (y, y + height))
    return (
        slice(max(0, top), max(0, min(bottom, shape[0]))),
        slice(max(0, left), max(0, min(right, shape[1]))),
    )


def _background(aligned: AlignedPair, rows: slice, columns: slice) -> _Background | None:
    """Return the background of a box from what lies beside it; None without any."""
    assert aligned.temperature is not None
    side = max(_LEAST_SIDE_PX, round(_SIDE * (columns.stop - columns.start)))
    strips = [
        slice(max(0, columns.start - side), columns.start),
        slice(columns.stop, columns.stop + side),
    ]
    beside = np.concatenate(
        [
            np.where(aligned.valid[rows, strip], aligned.temperature[rows, strip], np.nan)
            for strip in strips
        ],
        axis=1,
    )
    beside[~np.isfinite(beside)] = np.nan
    filled = np.isfinite(beside).any(axis=1)
    if not filled.any():
        return None
    levels = np.full(len(beside), np.nanmedian(beside), np.float32)
    levels[filled] = np.nanmedian(beside[filled], axis=1)
    spread = _MAD * float(np.nanmedian(np.abs(beside - levels[:, None])))
    return _Background(levels, max(spread, _NOISE_K))


def _own_pixels(field: FloatImage, known: Mask, background: _Background | None) -> Mask:
    """Return which known pixels of a box are the object's."""
    if background is None:
        return known
    apart = np.abs(field - background.levels[:, None])
    if np.percentile(apart[known], 99) < max(_LEAST_CONTRAST_K, _CLEAR * background.spread):
        return known
    # An object may stand out far more against the sky than against the street: on a logarithmic
    # scale both are objects.
    apart = np.log1p(apart / background.spread)
    own = _large_parts(known & (apart > _otsu(apart[known])))
    return own if own.sum() >= _LEAST_SHARE * known.sum() else known


def _otsu(values: NDArray[np.float32]) -> float:
    """Return the value that parts a set of positive values best (Otsu, 1979)."""
    counts, edges = np.histogram(values, _LEVELS, (0.0, float(values.max())))
    middles = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1].astype(np.float64)
    above = len(values) - below
    inside = np.cumsum(counts * middles)
    low = inside[:-1] / np.maximum(below, 1)
    high = (inside[-1] - inside[:-1]) / np.maximum(above, 1)
    best = int(np.argmax(below * above * (high - low) ** 2))
    return float(edges[best + 1])


def _large_parts(mask: Mask) -> Mask:
    """Return a mask without its small connected parts."""
    count, numbers, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    if count <= 2:
        return mask
    areas = stats[1:, cv2.CC_STAT_AREA]
    kept = np.concatenate([[False], areas >= _LEAST_PART * areas.max()])
    return np.asarray(kept[numbers], np.bool_)
