"""Known homographies, by day and by night."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusion_core.types import UInt8Image
from fusion_lab.benches.registration.alternatives import ALIGNERS, Aligner
from fusion_lab.benches.registration.geometry import (
    corner_errors,
    moved_by,
    picture_error,
    random_homography,
)
from fusion_lab.benches.tables import Table
from fusion_lab.data import Example
from fusion_lab.metrics import to_gray

TRIALS = 2
# Mean gray level below which a visible picture is one of the night, found by eye; RoadScene's long
# exposures make the ground bright, so the upper third counts there.
_NIGHT, _NIGHT_SKY = 60, 155


@dataclass(frozen=True, slots=True)
class CornerErrors:
    """Errors at the corners over trials.

    Attributes:
        median_px: Median over the trials of the mean over the corners.
        trials_below_1: Share of trials in which that is below 1 px.
        pairs_below_1: Share of pairs whose median over all corners of their trials is.
    """

    median_px: float
    trials_below_1: float
    pairs_below_1: float


@dataclass(frozen=True, slots=True)
class HomographyFigures:
    """Errors of one method on one set under one light.

    Attributes:
        dataset: Name of the set.
        method: Name of the method.
        light: ``day`` or ``night``.
        trials: Number of trials.
        stored: Against the pairs as stored, which are some pixels out of register themselves.
        consistent: Against the alignment that the method finds for the stored pair.
        picture_px: Median of ``consistent`` over all pixels instead of corners.
        picture_below_1: Share of trials in which that is below 1 px.
    """

    dataset: str
    method: str
    light: str
    trials: int
    stored: CornerErrors
    consistent: CornerErrors
    picture_px: float
    picture_below_1: float


def measure_homographies(
    name: str, pairs: Iterable[Example], aligners: Mapping[str, Aligner] = ALIGNERS
) -> tuple[HomographyFigures, ...]:
    """Move each thermal picture by random homographies and align it again, with every method.

    Args:
        name: Name of the set.
        pairs: Registered pairs.
        aligners: The methods.
    """
    rng = np.random.default_rng(0)
    rows: dict[tuple[str, str], list[tuple[NDArray[np.float64], NDArray[np.float64], float]]] = {}
    for pair in pairs:
        gray, shape = to_gray(pair.first), pair.second.shape
        light = "night" if is_night(name, pair.first) else "day"
        warps = [random_homography(rng, shape) for _ in range(TRIALS)]
        for method, align in aligners.items():
            own = align(pair.second, gray)
            for warp in warps:
                matrix = align(moved_by(pair.second, warp), gray)
                total = None if matrix is None else warp @ matrix
                errors = corner_errors(total, np.eye(3), shape), corner_errors(total, own, shape)
                row = (*errors, picture_error(total, own, shape))
                rows.setdefault((method, light), []).append(row)
    found = []
    for (method, light), row_list in sorted(rows.items()):
        stored, consistent, picture = (np.array(part) for part in zip(*row_list, strict=True))
        found.append(
            HomographyFigures(
                dataset=name,
                method=method,
                light=light,
                trials=len(row_list),
                stored=corner_summary(stored),
                consistent=corner_summary(consistent),
                picture_px=float(np.median(picture)),
                picture_below_1=float((picture < 1).mean()),
            )
        )
    return tuple(found)


def corner_summary(errors: NDArray[np.float64]) -> CornerErrors:
    """Summarise ``Nx4`` errors at corners, ``TRIALS`` rows per pair one after the other."""
    trials, pairs = errors.mean(axis=1), np.median(errors.reshape(-1, 4 * TRIALS), axis=1)
    return CornerErrors(
        float(np.median(trials)), float((trials < 1).mean()), float((pairs < 1).mean())
    )


def is_night(dataset: str, visible: UInt8Image) -> bool:
    """Return whether a visible picture of a set was taken at night."""
    if dataset.startswith("roadscene"):
        return float(visible[: len(visible) // 3].mean()) < _NIGHT_SKY
    return float(visible.mean()) < _NIGHT


def homography_table(figures: Iterable[HomographyFigures]) -> Table:
    """Return one row per set, method and light."""
    corners = ("trials < 1", "pairs < 1")
    head = ("set", "method", "light", "trials", "stored px", *corners, "consistent px", *corners)
    rows = tuple(
        (
            row.dataset,
            row.method,
            row.light,
            row.trials,
            row.stored.median_px,
            row.stored.trials_below_1,
            row.stored.pairs_below_1,
            row.consistent.median_px,
            row.consistent.trials_below_1,
            row.consistent.pairs_below_1,
            row.picture_px,
            row.picture_below_1,
        )
        for row in figures
    )
    return Table("Known homographies", (*head, "picture px", "< 1"), rows)
