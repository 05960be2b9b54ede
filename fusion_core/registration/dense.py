"""A smooth displacement field for what no homography explains: depth, lenses, late shutters.

Blocks are compared at several scales as for a homography; their displacements then follow the
likelihood under a penalty on the second differences of the field (a thin plate: shifts and linear
maps cost nothing), solved with Newton's method and conjugate gradients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.registration.evidence import Pull, pull
from fusion_core.registration.parametric import Level, Scene
from fusion_core.registration.pyramid import describe_at
from fusion_core.registration.volumes import Vectors, correlate
from fusion_core.types import FloatImage

_STIFFNESS = 100.0  # of the plate, per squared reduced pixel
_STEPS = 2
_SOLVER_STEPS = 60
_LEVELS: Final = (
    Level(4, 5, 8, (4, 3, 2, 1.5)),
    Level(4, 4, 6, (3, 2, 1.5, 1)),
    Level(2, 4, 8, (3, 2, 1.5, 1)),
)


@dataclass(frozen=True, slots=True)
class _Grid:
    """Where the nodes of a field lie: ``position = origin + cell * index`` in reduced pixels."""

    origin: Vectors
    cell: int


def refine_dense(scene: Scene, displacement: FloatImage) -> FloatImage:
    """Return a better field of displacements ``HxWx2`` in pixels, beginning with the given one."""
    everywhere = np.ones_like(scene.valid)
    for level in _LEVELS:
        thermal, valid = displaced(scene, displacement)
        volumes = correlate(
            describe_at(scene.visible, everywhere, level.factor),
            describe_at(thermal, valid, level.factor),
            level.reach,
            level.cell,
        )
        rows, columns = volumes.grid
        if min(rows, columns) < 3:
            continue
        field = np.zeros((rows, columns, 2))
        grid = _Grid(volumes.centres[0], level.cell)
        before = _sampled(displacement, level.factor, grid, (rows, columns))
        for spread in level.spreads:
            for _ in range(_STEPS):
                at = np.clip(field.reshape(-1, 2), -level.reach, level.reach)
                field = field + _step(pull(volumes, at, spread), before + field)
        change = _spread(field, level.factor, grid, displacement.shape)
        # total(p) = change(p) + displacement(p + change(p))
        displacement = change + _moved(displacement, change)
    return displacement


def displaced(scene: Scene, displacement: FloatImage) -> tuple[FloatImage, NDArray[np.bool_]]:
    """Return the thermal picture at ``pixel + displacement(pixel)``, and where that is inside."""
    places = _places(displacement)
    thermal = cv2.remap(scene.thermal, *places, cv2.INTER_LINEAR)
    valid = cv2.remap(scene.valid.astype(np.uint8), *places, cv2.INTER_NEAREST)
    return np.asarray(thermal, np.float32), valid > 0


def _step(found: Pull, field: Vectors) -> Vectors:
    """Return Newton's step of the field, ``rows x columns x 2``."""
    precision = found.precision.reshape(*field.shape, 2)

    def curvature(values: Vectors) -> Vectors:
        pulled = np.einsum("rcij,rcj->rci", precision, values)
        return np.asarray(pulled + _STIFFNESS * _plate(values) + 1e-4 * values)

    slope = found.gradient.reshape(field.shape) - _STIFFNESS * _plate(field)
    result = np.zeros_like(field)
    rest = slope
    direction = rest
    norm = float((rest * rest).sum())
    for _ in range(_SOLVER_STEPS):
        if norm < 1e-10:
            break
        bent = curvature(direction)
        length = norm / float((direction * bent).sum())
        result = result + length * direction
        rest = rest - length * bent
        norm, last = float((rest * rest).sum()), norm
        direction = rest + (norm / last) * direction
    return result


def _plate(field: Vectors) -> Vectors:
    """Return the gradient of half the sum of squared second differences, mixed ones twice."""
    result = np.zeros_like(field)
    for axis in (0, 1):
        bend = np.diff(field, n=2, axis=axis)
        first, middle, last = (
            [slice(None)] * axis + [part] for part in (slice(-2), slice(1, -1), slice(2, None))
        )
        result[tuple(first)] += bend
        result[tuple(middle)] -= 2 * bend
        result[tuple(last)] += bend
    twist = np.diff(np.diff(field, axis=0), axis=1) * 2
    result[1:, 1:] += twist
    result[:-1, :-1] += twist
    result[1:, :-1] -= twist
    result[:-1, 1:] -= twist
    return result


def _sampled(displacement: FloatImage, factor: int, grid: _Grid, shape: tuple[int, int]) -> Vectors:
    """Return the field at the nodes, in reduced pixels."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    nodes = np.stack((x, y), axis=2) * grid.cell + grid.origin
    places = (nodes * factor + (factor - 1) / 2).astype(np.float32)
    values = cv2.remap(
        displacement,
        places[..., 0],
        places[..., 1],
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(values, np.float64) / factor


def _spread(field: Vectors, factor: int, grid: _Grid, shape: tuple[int, ...]) -> FloatImage:
    """Return the nodes' field at every pixel, smoothly; beyond the nodes it goes on straight."""
    field = np.pad(field, ((2, 2), (2, 2), (0, 0)), mode="reflect", reflect_type="odd")
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    places = np.stack((x, y), axis=2)
    places = ((places - (factor - 1) / 2) / factor - grid.origin) / grid.cell + 2
    places = np.clip(places, 0, np.array([field.shape[1], field.shape[0]]) - 1)
    values = cv2.remap(
        (field * factor).astype(np.float32),
        places[..., 0].astype(np.float32),
        places[..., 1].astype(np.float32),
        cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(values, np.float32)


def _moved(displacement: FloatImage, by: FloatImage) -> FloatImage:
    """Return the field at ``pixel + by(pixel)``."""
    values = cv2.remap(
        displacement, *_places(by), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(values, np.float32)


def _places(displacement: FloatImage) -> tuple[FloatImage, FloatImage]:
    """Return x and y of ``pixel + displacement(pixel)`` for every pixel."""
    y, x = np.mgrid[: displacement.shape[0], : displacement.shape[1]].astype(np.float32)
    return x + displacement[..., 0], y + displacement[..., 1]
