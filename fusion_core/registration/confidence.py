"""Confidence of an alignment, from the similarity of the aligned images."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fusion_core.registration.homography_search import corner_deviation
from fusion_core.registration.pyramid import reduced_size
from fusion_core.registration.rig import Matrix
from fusion_core.registration.scene_pyramid import PyramidLevel, ScenePyramid
from fusion_core.registration.volumes import SimilarityVolumes, Vectors, shifted_scores
from fusion_core.types import FloatImage

_COARSE_CHECK: Final = PyramidLevel(4, 6, 8, ())
_FINE_CHECK: Final = PyramidLevel(2, 6, 12, ())
_NEAR, _FAR = 1.5, 2.9  # in reduced pixels
# Logistic regressions on alignments of known error; see docs/experiments/registration.md
_OFFSET, _SHARE_GAIN, _PEAK_GAIN = -5.96, 7.24, 0.864
_FINE_OFFSET, _FINE_SHARE_GAIN, _DEVIATION_GAIN = -0.71, 9.34, -5.29
_FEWEST_BLOCKS = 24


def coarse_confidence(scene: ScenePyramid, matrix: Matrix) -> float:
    """Return the confidence in [0, 1] that ``matrix`` is near the alignment of the scene.

    It is evaluated at a quarter of the resolution, for alignments found with few degrees of
    freedom.
    """
    volumes = scene.volumes(matrix, _COARSE_CHECK)
    return match_confidence(volumes, np.zeros_like(volumes.centres))


def fine_confidence(scene: ScenePyramid, matrix: Matrix, expected: Vectors) -> float:
    """Return the confidence in [0, 1] that ``matrix`` is right to a fraction of a pixel.

    Eight free parameters fit chance similarities better than few do; at half the resolution those
    do not persist. The confidence is a logistic function of the share of blocks that fit better in
    place than elsewhere, and of the corners' standard deviation (``corner_deviation``).
    """
    volumes = scene.volumes(matrix, _FINE_CHECK)
    if volumes.seen.sum() < _FEWEST_BLOCKS:
        return 0.0
    factor = _FINE_CHECK.factor
    deviation = factor * corner_deviation(volumes, reduced_size(scene.size, factor), expected)
    share = _share(volumes.scores[volumes.seen], *_near_and_far(volumes))
    return _logistic(
        _FINE_OFFSET + _FINE_SHARE_GAIN * share + _DEVIATION_GAIN * math.log(deviation)
    )


def match_confidence(volumes: SimilarityVolumes, at: Vectors) -> float:
    """Return the confidence in [0, 1] in block displacements ``Nx2``.

    It is a logistic function of two quantities: the share of blocks that fit better in place than
    elsewhere, and the peak of the blocks' mean similarity over its values elsewhere, in their
    standard deviations.
    """
    if volumes.seen.sum() < _FEWEST_BLOCKS:
        return 0.0
    near, far = _near_and_far(volumes)
    scores = shifted_scores(volumes, at)[volumes.seen]
    total = scores.mean(axis=0)
    peak = float((total[near].max() - total[far].mean()) / (total[far].std() + 1e-6))
    return _logistic(_OFFSET + _SHARE_GAIN * _share(scores, near, far) + _PEAK_GAIN * peak)


def _near_and_far(volumes: SimilarityVolumes) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which displacements count as in place, and which as elsewhere."""
    distance = np.linalg.norm(volumes.shifts, axis=1)
    return distance <= _NEAR, distance > _FAR


def _share(scores: FloatImage, near: NDArray[np.bool_], far: NDArray[np.bool_]) -> float:
    """Return the share of blocks that fit better in place than elsewhere."""
    return float((scores[:, near].max(axis=1) > scores[:, far].max(axis=1)).mean())


def _logistic(value: float) -> float:
    return float(1 / (1 + np.exp(-value)))
