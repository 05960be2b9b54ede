"""Which fusion task pictures are for, told from the pictures themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import cv2
import numpy as np

from fusion_core.errors import StackError
from fusion_core.types import FloatImage, UInt8Image

Task = Literal["vif", "mef", "mff"]
_SIDE: Final = 160
_LEAST_CONTRAST: Final = 1.0


@dataclass(frozen=True, slots=True)
class Relation:
    """What tells the tasks apart, of two pictures reduced to 160 pixels and smoothed.

    Attributes:
        order: Rank correlation of the levels that neither clips, in [-1, 1]: the brighter in one,
            the brighter in the other. Above 0.88 in every multi-focus pair looked at; below 0.75
            between visible and thermal.
        difference: Median difference of the levels: up to 10 in multi-focus pairs, above 24 in
            multi-exposure pairs.
        brighter: Difference of the mean levels.
        edges: Correlation of the signed gradients in [-1, 1]: above 0.1 between exposures.
        colours: How many of the two have colour.
        contrast: Standard deviation of the flatter one's levels.
    """

    order: float
    difference: float
    brighter: float
    edges: float
    colours: int
    contrast: float


def relation_of(first: UInt8Image, second: UInt8Image) -> Relation:
    """Compare two pictures, ``HxWx3`` uint8 RGB of one size."""
    small = [_small(picture) for picture in (first, second)]
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    lumas = [np.asarray(picture @ weights, np.float32) for picture in small]
    smooth = [np.asarray(cv2.GaussianBlur(luma, (0, 0), 1.5), np.float32) for luma in lumas]
    inside = np.logical_and.reduce([(luma > 8) & (luma < 247) for luma in smooth])
    if inside.sum() < 200:
        inside = np.ones_like(inside)
    slopes = [np.stack([_slope(luma, 1), _slope(luma, 0)]) for luma in lumas]
    energy = float(np.prod([np.sqrt((slope**2).sum()) for slope in slopes]))
    chromas = [
        float(np.abs(picture - luma[..., None]).mean())
        for picture, luma in zip(small, lumas, strict=True)
    ]
    return Relation(
        order=_rank_correlation(smooth[0][inside], smooth[1][inside]),
        difference=float(np.median(np.abs(smooth[0] - smooth[1]))),
        brighter=float(lumas[1].mean() - lumas[0].mean()),
        edges=float((slopes[0] * slopes[1]).sum()) / max(energy, 1e-6),
        colours=sum(chroma > 0.5 for chroma in chromas),
        contrast=min(float(luma.std()) for luma in lumas),
    )


def task_of(relation: Relation) -> Task | None:
    """Return the task of two pictures; None where it cannot be told."""
    related = relation.order > 0.75 or (relation.colours == 2 and relation.edges > 0.1)
    if relation.contrast < _LEAST_CONTRAST:
        return None
    if relation.colours == 1:
        return "vif" if relation.order < 0.9 else None
    if relation.order > 0.85 and relation.difference < 13 and abs(relation.brighter) < 13:
        return "mff"
    if related and abs(relation.brighter) > 35:
        return "mef"
    return "vif" if relation.order < 0.6 and relation.colours == 0 else None


def guess_task(pictures: Sequence[UInt8Image]) -> Task:
    """Return the fusion task that pictures are for.

    Args:
        pictures: Two or more of ``HxWx3`` uint8 RGB, of one size.

    Raises:
        StackError: It cannot be told.
    """
    first, *others = pictures
    found = {task_of(relation_of(first, other)) for other in others}
    task = found.pop() if len(found) == 1 else None
    if task is None or (task == "vif" and len(others) > 1):
        raise StackError(
            "task 'auto': what these pictures are for cannot be told from them; give --task vif "
            "(visible and infrared), mef (exposures) or mff (focus)"
        )
    return task


def _small(picture: UInt8Image) -> FloatImage:
    height, width = picture.shape[:2]
    factor = min(1.0, _SIDE / max(height, width))
    size = max(8, round(width * factor)), max(8, round(height * factor))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.float32)


def _slope(luma: FloatImage, dx: int) -> FloatImage:
    return np.asarray(cv2.Scharr(luma, cv2.CV_32F, dx, 1 - dx), np.float32)


def _rank_correlation(first: FloatImage, second: FloatImage) -> float:
    """Return Spearman's coefficient; 0 where one of the two is constant."""
    one, other = _ranks(first), _ranks(second)
    if min(one.std(), other.std()) == 0:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def _ranks(values: FloatImage) -> FloatImage:
    """Return ranks in which equal values have equal ranks."""
    _, places, counts = np.unique(np.rint(values * 4), return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - counts / 2
    return np.asarray(middle[places], np.float32)
