"""Pairs to measure registration on, what displaces them, and how far off it is found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
# Gray level below which a visible picture is one at night, looked at by eye: of the whole picture,
# for RoadScene, whose long exposures make the ground bright, of the upper third.
NIGHT, NIGHT_SKY = 60, 155
INVERSE = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR


def read_pairs(folder: Path) -> Iterator[tuple[str, Array, Array]]:
    """Yield stem, visible BGR and thermal gray, no wider than 640 pixels."""
    for path in sorted((folder / "vi").iterdir()):
        visible = cv2.imread(str(path))
        thermal = cv2.imread(str(next((folder / "ir").glob(f"{path.stem}.*"))), 0)
        if visible.shape[1] > 900:
            size = (visible.shape[1] // 2, visible.shape[0] // 2)
            visible, thermal = (
                cv2.resize(image, size, interpolation=cv2.INTER_AREA)
                for image in (visible, thermal)
            )
        yield path.stem, visible, thermal


def is_night(name: str, visible: Array) -> bool:
    if name.startswith("roadscene"):
        return float(visible[: len(visible) // 3].mean()) < NIGHT_SKY
    return float(visible.mean()) < NIGHT


def grid_of(shape: tuple[int, ...]) -> Array:
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    return np.stack((x, y), axis=2)


def inverse_of(warp: Array) -> Array:
    """Return u with u(p) = -warp(p + u(p)), so that what was warped is back in place."""
    grid, back = grid_of(warp.shape), np.zeros_like(warp)
    for _ in range(100):
        places = grid + back
        back = -cv2.remap(
            warp, places[..., 0], places[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
    return back


def field_of(matrix: Array | None, shape: tuple[int, ...]) -> Array:
    grid = grid_of(shape).astype(np.float64)
    if matrix is None:
        return np.zeros_like(grid)
    return cv2.perspectiveTransform(grid, np.asarray(matrix, np.float64)) - grid


def mean_error(found: Array, true: Array) -> float:
    return float(np.linalg.norm(found - true, axis=2).mean())


def corners_of(shape: tuple[int, ...]) -> Array:
    right, bottom = shape[1] - 1.0, shape[0] - 1.0
    return np.array([[0, 0], [right, 0], [right, bottom], [0, bottom]])


def random_homography(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Return a homography whose corners move by 2 to 20 pixels on average."""
    corners = corners_of(shape)
    way = rng.normal(size=(4, 2)) + rng.normal(size=2)
    way *= rng.uniform(2, 20) / np.linalg.norm(way, axis=1).mean()
    return cv2.getPerspectiveTransform(
        corners.astype(np.float32), (corners + way).astype(np.float32)
    )


def corner_gaps(first: Array | None, second: Array | None, shape: tuple[int, ...]) -> Array:
    if first is None or second is None:
        return np.full(4, np.inf)
    corners = corners_of(shape)[None]
    gap = cv2.perspectiveTransform(corners, first) - cv2.perspectiveTransform(corners, second)
    return np.linalg.norm(gap[0], axis=1)


def picture_gap(first: Array | None, second: Array | None, shape: tuple[int, ...]) -> float:
    if first is None or second is None:
        return np.inf
    return mean_error(field_of(first, shape), field_of(second, shape))
