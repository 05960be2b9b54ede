"""Small homographies as eight parameters, at any scale of the picture."""

from __future__ import annotations

import numpy as np

from fusion_core.registration.rig import Matrix, Size
from fusion_core.registration.volumes import Vectors


def jacobian(points: Vectors, size: Size) -> Vectors:
    """Return ``Nx2x8`` derivatives in pixels of the mapped points by the parameters at identity.

    The parameters are, in coordinates centred in the picture whose longer half side is 1: shift
    ``x, y``; the four of the linear part, row by row; and the two of the projective part.
    """
    centre, half = (np.array(size) - 1) / 2, max(size) / 2
    x, y = ((points - centre) / half).T
    zero, one = np.zeros_like(x), np.ones_like(x)
    rows = (
        np.stack((one, zero, x, y, zero, zero, x * x, x * y), axis=1),
        np.stack((zero, one, zero, zero, x, y, x * y, y * y), axis=1),
    )
    return np.asarray(np.stack(rows, axis=1) * half)


def to_matrix(parameters: Vectors, size: Size) -> Matrix:
    """Return the 3x3 in pixels."""
    tx, ty, xx, xy, yx, yy, px, py = parameters
    inner = np.array([[1 + xx, xy, tx], [yx, 1 + yy, ty], [-px, -py, 1]])
    unit = _unit(size)
    return normalised(np.linalg.inv(unit) @ inner @ unit)


def to_parameters(matrix: Matrix, size: Size) -> Vectors:
    """Return the eight parameters of a 3x3 in pixels."""
    unit = _unit(size)
    inner = normalised(unit @ matrix @ np.linalg.inv(unit))
    linear = inner[:2, :2] - np.eye(2)
    return np.concatenate((inner[:2, 2], linear.ravel(), -inner[2, :2]))


def rescaled(matrix: Matrix, factor: float) -> Matrix:
    """Return the same map for both pictures resized by ``factor``; pixel areas scale."""
    scale = scaling(factor, factor)
    return normalised(scale @ matrix @ np.linalg.inv(scale))


def scaling(x: float, y: float) -> Matrix:
    """Return the 3x3 that maps pixel centres of a picture to those of its resized form."""
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])


def normalised(matrix: Matrix) -> Matrix:
    """Return the same homography with a last element of 1."""
    return np.asarray(matrix / matrix[2, 2])


def corners(size: Size) -> Vectors:
    """Return the centres of the four corner pixels, ``4x2``."""
    right, bottom = size[0] - 1.0, size[1] - 1.0
    return np.array([[0, 0], [right, 0], [right, bottom], [0, bottom]])


def mapped(matrix: Matrix, points: Vectors) -> Vectors:
    """Map ``Nx2`` points that lie in front of the line at infinity."""
    result = points @ matrix[:, :2].T + matrix[:, 2]
    return np.asarray(result[:, :2] / result[:, 2:])


def corner_distance(first: Matrix, second: Matrix, size: Size) -> float:
    """Return the mean distance in pixels between where two homographies map the corners."""
    gap = mapped(first, corners(size)) - mapped(second, corners(size))
    return float(np.linalg.norm(gap, axis=1).mean())


def _unit(size: Size) -> Matrix:
    """Return the map from pixels to coordinates in which the longer half side is 1."""
    centre, half = (np.array(size) - 1) / 2, max(size) / 2
    return np.array([[1 / half, 0, -centre[0] / half], [0, 1 / half, -centre[1] / half], [0, 0, 1]])
