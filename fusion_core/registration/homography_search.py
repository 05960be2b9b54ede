"""The homography that aligns a thermal with a visible image, searched coarse to fine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np

from fusion_core.registration.likelihood import likelihood_model
from fusion_core.registration.projective import (
    corners,
    jacobian,
    rescaled,
    to_matrix,
    to_parameters,
)
from fusion_core.registration.pyramid import reduced_size
from fusion_core.registration.rig import Matrix, Size
from fusion_core.registration.scene_pyramid import IDENTITY, PyramidLevel, ScenePyramid
from fusion_core.registration.volumes import SimilarityVolumes, Vectors

_STEPS = 3
_DISTANCE_PENALTY = 1e-6  # similarity per squared pixel of displacement
WIDE: Final = (
    PyramidLevel(4, 10, 12, (8, 6, 4, 3, 2, 1.5, 1)),
    PyramidLevel(2, 3, 8, (2, 1.5, 1, 1)),
)


def estimate_homography(
    scene: ScenePyramid,
    start: Matrix,
    levels: Sequence[PyramidLevel],
    expected: Vectors,
    *,
    vote: bool,
    applied: Matrix = IDENTITY,
) -> Matrix:
    """Return the homography from visible to thermal pixels of the scene's grid.

    Args:
        scene: The images.
        start: Initial homography.
        levels: Scales, coarse to fine.
        expected: Prior standard deviations of the eight parameters around the identity.
        vote: Begin at the displacement that most blocks agree on, instead of at ``start``.
        applied: Homography with which the thermal image was already warped; the prior is on both
            combined.
    """
    matrix = start
    for number, level in enumerate(levels):
        matrix = refine_homography(
            scene, matrix, level, expected, applied, vote=vote and number == 0
        )
    return matrix


def refine_homography(
    scene: ScenePyramid,
    matrix: Matrix,
    level: PyramidLevel,
    expected: Vectors,
    applied: Matrix = IDENTITY,
    *,
    vote: bool = False,
) -> Matrix:
    """Return an alignment after one comparison of the images; see ``estimate_homography``."""
    size = reduced_size(scene.size, level.factor)
    volumes = scene.volumes(matrix, level)
    coarse = rescaled(matrix, 1 / level.factor)
    begin = np.zeros(8)
    if vote:
        begin[:2] = dominant_shift(volumes) / (max(size) / 2)
    before = to_parameters(rescaled(applied, 1 / level.factor) @ coarse, size)
    step = maximise_likelihood(volumes, size, before, begin, expected, level.spreads)
    return rescaled(coarse @ to_matrix(step, size), level.factor)


def maximise_likelihood(  # noqa: PLR0917
    volumes: SimilarityVolumes,
    size: Size,
    before: Vectors,
    begin: Vectors,
    expected: Vectors,
    spreads: Sequence[float],
) -> Vectors:
    """Maximise the blocks' joint likelihood over a homography's parameters by Newton's method.

    Args:
        volumes: The blocks.
        size: Width and height of the compared image.
        before: Parameters already applied to the thermal image.
        begin: Initial parameters.
        expected: Prior standard deviations of ``before`` and the result combined.
        spreads: Smoothing of the likelihood in pixels, wide to narrow.

    Returns:
        The eight parameters of the step from ``before``.
    """
    derivatives = jacobian(volumes.centres, size)
    prior = np.diag(1 / expected**2)
    reach = volumes.shifts.max()
    step = begin
    for spread in spreads:
        for _ in range(_STEPS):
            found = likelihood_model(volumes, np.clip(derivatives @ step, -reach, reach), spread)
            curvature = (
                np.einsum("nij,nik,nkl->jl", derivatives, found.precision, derivatives) + prior
            )
            slope = np.einsum("nij,ni->j", derivatives, found.gradient) - prior @ (before + step)
            step = step + np.linalg.solve(curvature, slope)
    return step


def corner_deviation(volumes: SimilarityVolumes, size: Size, expected: Vectors) -> float:
    """Return the standard deviation of the corners in pixels when all blocks are in place.

    It is the root mean square from the inverse curvature of the blocks' joint likelihood; the
    blocks overlap, so that the true deviation is a multiple of it.
    """
    derivatives = jacobian(volumes.centres, size)
    precision = likelihood_model(volumes, np.zeros_like(volumes.centres), 1.0).precision
    curvature = np.einsum("nij,nik,nkl->jl", derivatives, precision, derivatives) + np.diag(
        1 / expected**2
    )
    corner = jacobian(corners(size), size)
    square = np.einsum("nij,jk,nik->n", corner, np.linalg.inv(curvature), corner)
    return float(np.sqrt(square.mean()))


def dominant_shift(volumes: SimilarityVolumes) -> Vectors:
    """Return the displacement in pixels whose mean similarity over all blocks is highest."""
    side = round(len(volumes.shifts) ** 0.5)
    total = volumes.scores.mean(axis=0).reshape(side, side)
    smooth = cv2.GaussianBlur(total, (0, 0), 1.0)
    # Unrelated images fit equally everywhere: among equals the nearest displacement counts.
    best = (smooth.ravel() - _DISTANCE_PENALTY * (volumes.shifts**2).sum(axis=1)).argmax()
    return np.asarray(volumes.shifts[int(best)])
