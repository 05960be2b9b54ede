"""What displaces pictures, and how far off an alignment is."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.types import UInt8Image

Homography = NDArray[np.float64]
Displacement = NDArray[np.floating[Any]]
"""``HxWx2`` x and y in pixels."""

_INVERSION_STEPS = 100
_SHIFT_PX = (2, 20)


def pixel_grid(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return ``HxWx2`` x and y of every pixel."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    return np.stack((x, y), axis=2)


def inverted(displacement: Displacement) -> Displacement:
    """Return u with u(p) = -d(p + u(p)), which undoes a displacement d; fixed-point iteration."""
    grid, back = pixel_grid(displacement.shape), np.zeros_like(displacement)
    for _ in range(_INVERSION_STEPS):
        places = grid + back
        moved = cv2.remap(
            displacement,
            places[..., 0],
            places[..., 1],
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        back = np.negative(moved, dtype=displacement.dtype)
    return back


def displacement_of(matrix: Homography | None, shape: tuple[int, ...]) -> Displacement:
    """Return where a homography moves every pixel; nowhere without one."""
    grid = pixel_grid(shape).astype(np.float64)
    if matrix is None:
        return np.zeros_like(grid)
    return np.asarray(cv2.perspectiveTransform(grid, np.asarray(matrix, np.float64)) - grid)


def mean_error(found: Displacement, true: Displacement) -> float:
    """Return the mean end-point error in pixels."""
    return float(np.linalg.norm(found - true, axis=2).mean())


def random_homography(rng: np.random.Generator, shape: tuple[int, ...]) -> Homography:
    """Return a homography whose corners move by 2 to 20 pixels on average."""
    corners = _corners(shape)
    way = rng.normal(size=(4, 2)) + rng.normal(size=2)
    way *= rng.uniform(*_SHIFT_PX) / np.linalg.norm(way, axis=1).mean()
    moved = (corners + way).astype(np.float32)
    return np.asarray(cv2.getPerspectiveTransform(corners.astype(np.float32), moved), np.float64)


def moved_by(image: UInt8Image, matrix: Homography) -> UInt8Image:
    """Return a picture whose pixel p shows what was at ``matrix`` p."""
    flags = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
    return np.asarray(cv2.warpPerspective(image, matrix, image.shape[::-1], flags=flags), np.uint8)


def corner_errors(
    first: Homography | None, second: Homography | None, shape: tuple[int, ...]
) -> NDArray[np.float64]:
    """Return how far apart two homographies move the four corners; infinite without one."""
    if first is None or second is None:
        return np.full(4, np.inf)
    corners = _corners(shape)[None]
    gap = cv2.perspectiveTransform(corners, first) - cv2.perspectiveTransform(corners, second)
    return np.asarray(np.linalg.norm(gap[0], axis=1))


def picture_error(
    first: Homography | None, second: Homography | None, shape: tuple[int, ...]
) -> float:
    """Return how far apart two homographies move the pixels on average; infinite without one."""
    if first is None or second is None:
        return np.inf
    return mean_error(displacement_of(first, shape), displacement_of(second, shape))


def _corners(shape: tuple[int, ...]) -> NDArray[np.float64]:
    right, bottom = shape[1] - 1.0, shape[0] - 1.0
    return np.array([[0, 0], [right, 0], [right, bottom], [0, bottom]])
