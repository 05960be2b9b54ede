"""The homography that aligns a thermal with a visible picture, found coarse to fine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import cv2
import numpy as np

from fusion_core.registration.evidence import pull
from fusion_core.registration.features import Features
from fusion_core.registration.projective import (
    corners,
    jacobian,
    rescaled,
    to_matrix,
    to_parameters,
)
from fusion_core.registration.pyramid import describe_at, reduced_size
from fusion_core.registration.rig import Matrix, Size
from fusion_core.registration.volumes import Vectors, Volumes, correlate, widened
from fusion_core.types import FloatImage, Mask

_STEPS = 3
_NEARER = 1e-6  # similarity per squared pixel of displacement
IDENTITY: Final = np.eye(3)


@dataclass(frozen=True, slots=True)
class Level:
    """One scale of the search.

    Attributes:
        factor: Reduction of the picture.
        reach: Largest displacement looked for, in reduced pixels.
        cell: Distance of block centres, a third of a block, in reduced pixels.
        spreads: Smoothing of the likelihood in reduced pixels, wide to narrow.
        margin: How far similarity is taken to go on unchanged beyond ``reach``.
    """

    factor: int
    reach: int
    cell: int
    spreads: tuple[float, ...]
    margin: int = 0


WIDE: Final = (
    Level(4, 10, 12, (8, 6, 4, 3, 2, 1.5, 1)),
    Level(2, 3, 8, (2, 1.5, 1, 1)),
)


@dataclass(frozen=True, eq=False)
class Scene:
    """A pair of pictures on one grid, roughly registered.

    Attributes:
        visible: ``HxW`` float32 gray levels of 0 to 255.
        thermal: The same for the thermal picture.
        valid: ``HxW`` bool, where the thermal picture is one.
    """

    visible: FloatImage
    thermal: FloatImage
    valid: Mask
    _described: dict[int, tuple[Features, Features]] = field(default_factory=dict, repr=False)

    @cached_property
    def size(self) -> Size:
        """Width and height in pixels."""
        return self.visible.shape[1], self.visible.shape[0]

    def warped(self, matrix: Matrix) -> tuple[FloatImage, Mask]:
        """Return the thermal picture at ``matrix @ pixel``, and where that is inside."""
        flags = cv2.WARP_INVERSE_MAP
        thermal = cv2.warpPerspective(
            self.thermal, matrix, self.size, flags=flags | cv2.INTER_LINEAR
        )
        valid = cv2.warpPerspective(
            self.valid.astype(np.uint8), matrix, self.size, flags=flags | cv2.INTER_NEAREST
        )
        return np.asarray(thermal, np.float32), valid > 0

    def described(self, factor: int) -> tuple[Features, Features]:
        """Return the descriptors of the reduced visible and thermal picture, computed once."""
        if factor not in self._described:
            visible = describe_at(self.visible, np.ones_like(self.valid), factor)
            thermal = describe_at(self.thermal, self.valid, factor)
            self._described[factor] = visible, thermal
        return self._described[factor]

    def volumes(self, matrix: Matrix, level: Level) -> Volumes:
        """Compare the pictures around the alignment ``matrix``."""
        visible, thermal = self.described(level.factor)
        if not np.array_equal(matrix, IDENTITY):
            thermal = describe_at(*self.warped(matrix), level.factor)
        return widened(correlate(visible, thermal, level.reach, level.cell), level.margin)


def estimate(
    scene: Scene,
    start: Matrix,
    levels: Sequence[Level],
    expected: Vectors,
    *,
    vote: bool,
    applied: Matrix = IDENTITY,
) -> Matrix:
    """Return the homography from visible to thermal pixels of the scene's grid.

    Args:
        scene: The pictures.
        start: Where to begin.
        levels: Scales, coarse to fine.
        expected: Standard deviations of the eight parameters around the identity: how far each is
            believed before the pictures have been seen.
        vote: Begin at the displacement that most blocks agree on, instead of at ``start``.
        applied: Homography that the thermal picture has already been through; what is expected
            of the parameters is expected of both together.
    """
    matrix = start
    for number, level in enumerate(levels):
        matrix = improved(scene, matrix, level, expected, applied, vote=vote and number == 0)
    return matrix


def improved(
    scene: Scene,
    matrix: Matrix,
    level: Level,
    expected: Vectors,
    applied: Matrix = IDENTITY,
    *,
    vote: bool = False,
) -> Matrix:
    """Return what one comparison of the pictures makes of an alignment; see ``estimate``."""
    size = reduced_size(scene.size, level.factor)
    volumes = scene.volumes(matrix, level)
    coarse = rescaled(matrix, 1 / level.factor)
    begin = np.zeros(8)
    if vote:
        begin[:2] = vote_for(volumes) / (max(size) / 2)
    before = to_parameters(rescaled(applied, 1 / level.factor) @ coarse, size)
    step = climb(volumes, size, before, begin, expected, level.spreads)
    return rescaled(coarse @ to_matrix(step, size), level.factor)


def climb(  # noqa: PLR0917
    volumes: Volumes,
    size: Size,
    before: Vectors,
    begin: Vectors,
    expected: Vectors,
    spreads: Sequence[float],
) -> Vectors:
    """Maximise the blocks' joint likelihood over a homography's parameters by Newton's method.

    Args:
        volumes: The blocks.
        size: Width and height of the picture they are of.
        before: Parameters already applied to the thermal picture.
        begin: Parameters to begin with.
        expected: Standard deviations of ``before`` and the result together.
        spreads: Smoothing of the likelihood in pixels, wide to narrow.

    Returns:
        The eight parameters of the step from ``before``.
    """
    lever = jacobian(volumes.centres, size)
    belief = np.diag(1 / expected**2)
    reach = volumes.shifts.max()
    step = begin
    for spread in spreads:
        for _ in range(_STEPS):
            found = pull(volumes, np.clip(lever @ step, -reach, reach), spread)
            curvature = np.einsum("nij,nik,nkl->jl", lever, found.precision, lever) + belief
            slope = np.einsum("nij,ni->j", lever, found.gradient) - belief @ (before + step)
            step = step + np.linalg.solve(curvature, slope)
    return step


def corner_deviation(volumes: Volumes, size: Size, expected: Vectors) -> float:
    """Return how far off the corners may be when all blocks are in place, in pixels.

    It is the root of the mean square by the inverse curvature of the blocks' joint likelihood; the
    blocks overlap, so that the truth is a multiple of it.
    """
    lever = jacobian(volumes.centres, size)
    precision = pull(volumes, np.zeros_like(volumes.centres), 1.0).precision
    curvature = np.einsum("nij,nik,nkl->jl", lever, precision, lever) + np.diag(1 / expected**2)
    corner = jacobian(corners(size), size)
    square = np.einsum("nij,jk,nik->n", corner, np.linalg.inv(curvature), corner)
    return float(np.sqrt(square.mean()))


def vote_for(volumes: Volumes) -> Vectors:
    """Return the displacement in pixels whose mean similarity over all blocks is highest."""
    side = round(len(volumes.shifts) ** 0.5)
    total = volumes.scores.mean(axis=0).reshape(side, side)
    smooth = cv2.GaussianBlur(total, (0, 0), 1.0)
    # pictures with nothing in common fit everywhere alike: of equals the nearest counts
    best = (smooth.ravel() - _NEARER * (volumes.shifts**2).sum(axis=1)).argmax()
    return np.asarray(volumes.shifts[int(best)])
