"""A smooth displacement field for what no homography models: depth, lenses, rolling shutters.

Blocks are compared at several scales as for a homography; the field maximises their likelihood
minus a penalty on its second differences (a thin plate: shifts and linear maps have no penalty),
solved with Newton's method and conjugate gradients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.registration.likelihood import LikelihoodModel, likelihood_model
from fusion_core.registration.pyramid import descriptors_at_scale
from fusion_core.registration.scene_pyramid import PyramidLevel, ScenePyramid
from fusion_core.registration.volumes import Vectors, correlate_blocks
from fusion_core.types import FloatImage

_STIFFNESS = 100.0  # of the plate, per squared reduced pixel
_STEPS = 2
_SOLVER_STEPS = 60
_LEVELS: Final = (
    PyramidLevel(4, 5, 8, (4, 3, 2, 1.5)),
    PyramidLevel(4, 4, 6, (3, 2, 1.5, 1)),
    PyramidLevel(2, 4, 8, (3, 2, 1.5, 1)),
)


@dataclass(frozen=True, slots=True)
class _Grid:
    """Positions of a field's nodes: ``position = origin + cell * index`` in reduced pixels."""

    origin: Vectors
    cell: int


def refine_dense(scene: ScenePyramid, displacement: FloatImage) -> FloatImage:
    """Return a refined displacement field ``HxWx2`` in pixels, starting from the given one."""
    everywhere = np.ones_like(scene.valid)
    for level in _LEVELS:
        thermal, valid = warp_by_displacement(scene, displacement)
        volumes = correlate_blocks(
            descriptors_at_scale(scene.visible, everywhere, level.factor),
            descriptors_at_scale(thermal, valid, level.factor),
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
                field = field + _newton_step(likelihood_model(volumes, at, spread), before + field)
        change = _interpolated(field, level.factor, grid, displacement.shape)
        # total(p) = change(p) + displacement(p + change(p))
        displacement = change + _composed(displacement, change)
    return displacement


def warp_by_displacement(
    scene: ScenePyramid, displacement: FloatImage
) -> tuple[FloatImage, NDArray[np.bool_]]:
    """Return the thermal image at ``pixel + displacement(pixel)``, and where that is inside."""
    places = _positions(displacement)
    thermal = cv2.remap(scene.thermal, *places, cv2.INTER_LINEAR)
    valid = cv2.remap(scene.valid.astype(np.uint8), *places, cv2.INTER_NEAREST)
    return np.asarray(thermal, np.float32), valid > 0


def _newton_step(found: LikelihoodModel, field: Vectors) -> Vectors:
    """Return the Newton step of the field, ``rows x columns x 2``."""
    precision = found.precision.reshape(*field.shape, 2)

    def curvature(values: Vectors) -> Vectors:
        pulled = np.einsum("rcij,rcj->rci", precision, values)
        return np.asarray(pulled + _STIFFNESS * _bending_gradient(values) + 1e-4 * values)

    slope = found.gradient.reshape(field.shape) - _STIFFNESS * _bending_gradient(field)
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


def _bending_gradient(field: Vectors) -> Vectors:
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


def _interpolated(field: Vectors, factor: int, grid: _Grid, shape: tuple[int, ...]) -> FloatImage:
    """Return the field at every pixel by cubic interpolation, extrapolated linearly."""
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


def _composed(displacement: FloatImage, by: FloatImage) -> FloatImage:
    """Return the field at ``pixel + by(pixel)``."""
    values = cv2.remap(
        displacement, *_positions(by), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(values, np.float32)


def _positions(displacement: FloatImage) -> tuple[FloatImage, FloatImage]:
    """Return x and y of ``pixel + displacement(pixel)`` for every pixel."""
    y, x = np.mgrid[: displacement.shape[0], : displacement.shape[1]].astype(np.float32)
    return x + displacement[..., 0], y + displacement[..., 1]
