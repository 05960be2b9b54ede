"""Estimate of an alignment from similarity volumes that are averaged over frames."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from fusion_core.registration.confidence import coarse_confidence, match_confidence
from fusion_core.registration.homography_search import (
    WIDE,
    estimate_homography,
    maximise_likelihood,
)
from fusion_core.registration.motion_tracking import CameraMotion
from fusion_core.registration.projective import (
    jacobian,
    mapped,
    rescaled,
    to_matrix,
    to_parameters,
)
from fusion_core.registration.pyramid import reduced_size
from fusion_core.registration.rig import Matrix
from fusion_core.registration.scene_pyramid import IDENTITY, PyramidLevel, ScenePyramid
from fusion_core.registration.volumes import SimilarityVolumes, Vectors, shifted_scores

# Prior errors of a calibration: standard deviations of shift, linear and projective part, relative
# to half the width.
EXPECTED: Final = np.array([0.06, 0.06, 0.0025, 0.0025, 0.0025, 0.0025, 0.0006, 0.0006])
_COARSE: Final = PyramidLevel(4, 5, 8, (4, 3, 2, 1.5, 1))
_FINE: Final = PyramidLevel(2, 3, 8, (2, 1.5, 1, 1))
_MIN_WEIGHT = 0.2  # of a new frame in the average; more when the frame alone is conclusive


@dataclass(frozen=True, eq=False)
class AlignmentEstimate:
    """Estimated alignment of the thermal image.

    Attributes:
        matrix: 3x3 on the visible grid, total correction of the rig.
        confidence: Confidence in it in [0, 1].
    """

    matrix: Matrix
    confidence: float


class TemporalVolumes:
    """Similarity volumes of one camera pair, averaged over its frames.

    In smoke or at night one frame is not conclusive. The scene and what hides it change from frame
    to frame while the misalignment stays nearly constant, so the average is more precise. When the
    cameras are known to have moved against each other, ``apply_motion`` shifts the average.
    """

    def __init__(self) -> None:
        self._applied: Matrix = np.eye(3)
        self._volumes: dict[PyramidLevel, SimilarityVolumes] = {}

    def apply_motion(self, motion: CameraMotion) -> None:
        """Transform the average as if the cameras had always been in their present pose."""
        self._applied = motion.propagate(self._applied)

    def align_scene(self, scene: ScenePyramid, applied: Matrix) -> AlignmentEstimate:
        """Add a frame that was aligned with ``applied`` and estimate from all frames so far."""
        coarse = scene.volumes(IDENTITY, _COARSE)
        fine = scene.volumes(IDENTITY, _FINE)
        begin = to_parameters(applied, scene.size)
        _, alone = _maximise(scene, {_COARSE: coarse}, begin)
        weight = max(_MIN_WEIGHT, match_confidence(coarse, alone))
        self._average_level(_COARSE, coarse, applied, weight)
        self._average_level(_FINE, fine, applied, weight)
        self._applied = applied
        step, at = _maximise(scene, self._volumes, begin)
        confidence = match_confidence(self._volumes[_COARSE], at)
        return AlignmentEstimate(applied @ to_matrix(step, scene.size), confidence)

    def _average_level(
        self, level: PyramidLevel, volumes: SimilarityVolumes, applied: Matrix, weight: float
    ) -> None:
        """Average a frame's volumes with the earlier ones, moved to the frame's alignment."""
        before = self._volumes.get(level)
        if before is None:
            self._volumes[level] = volumes
            return
        old, new = (rescaled(matrix, 1 / level.factor) for matrix in (self._applied, applied))
        offset = mapped(new, volumes.centres) - mapped(old, volumes.centres)
        known = shifted_scores(before, offset)
        scores = known + np.float32(weight) * (volumes.scores - known)
        scores = np.where(before.seen[:, None], scores, volumes.scores)
        scores = np.where(volumes.seen[:, None], scores, known)
        self._volumes[level] = replace(
            volumes, scores=scores.astype(np.float32), seen=before.seen | volumes.seen
        )


def wide_search(scene: ScenePyramid, applied: Matrix) -> AlignmentEstimate:
    """Estimate over a larger range of displacements, from one frame alone."""
    step = estimate_homography(scene, IDENTITY, WIDE, EXPECTED, vote=True, applied=applied)
    return AlignmentEstimate(applied @ step, coarse_confidence(scene, step))


def _maximise(
    scene: ScenePyramid, volumes: dict[PyramidLevel, SimilarityVolumes], before: Vectors
) -> tuple[Vectors, Vectors]:
    """Return the parameters of the step from ``before``, and the coarse blocks' displacements."""
    step = np.zeros(8)
    for level, compared in volumes.items():
        size = reduced_size(scene.size, level.factor)
        offset = _displacements(compared, step, scene, level)
        if np.abs(offset).max() < level.reach - 1:
            step = maximise_likelihood(compared, size, before, step, EXPECTED, level.spreads)
    coarse = volumes[_COARSE]
    return step, _displacements(coarse, step, scene, _COARSE)


def _displacements(
    volumes: SimilarityVolumes, step: Vectors, scene: ScenePyramid, level: PyramidLevel
) -> Vectors:
    """Return by how much the step moves the blocks, ``Nx2`` in reduced pixels."""
    derivatives = jacobian(volumes.centres, reduced_size(scene.size, level.factor))
    return np.asarray(derivatives @ step)
