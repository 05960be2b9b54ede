"""How far an alignment can be trusted, from the similarity of the aligned pictures."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fusion_core.registration.parametric import Level, Scene, corner_deviation
from fusion_core.registration.pyramid import reduced_size
from fusion_core.registration.rig import Matrix
from fusion_core.registration.volumes import Vectors, Volumes, moved
from fusion_core.types import FloatImage

CHECK: Final = Level(4, 6, 8, ())
_FINE_CHECK: Final = Level(2, 6, 12, ())
_NEAR, _FAR = 1.5, 2.9  # in reduced pixels
# Logistic regressions on alignments of known error; see docs/registration.md
_OFFSET, _SHARE_GAIN, _PEAK_GAIN = -5.96, 7.24, 0.864
_FINE_OFFSET, _FINE_SHARE_GAIN, _DEVIATION_GAIN = -0.71, 9.34, -5.29
_FEWEST_BLOCKS = 24


def trust(scene: Scene, matrix: Matrix) -> float:
    """Return the confidence in [0, 1] that ``matrix`` is near the alignment of the scene.

    It speaks of a quarter of the resolution, for alignments that were found at few degrees of
    freedom.
    """
    volumes = scene.volumes(matrix, CHECK)
    return judge(volumes, np.zeros_like(volumes.centres))


def trust_polished(scene: Scene, matrix: Matrix, expected: Vectors) -> float:
    """Return the confidence in [0, 1] that ``matrix``, found to a fraction of a pixel, is right.

    Eight free parameters fit chance similarities better than few; on a grid of half the resolution
    those do not last. It rests on the share of blocks that fit better in place than anywhere else,
    and on how far the corners may be off by what the blocks say (``corner_deviation``).
    """
    volumes = scene.volumes(matrix, _FINE_CHECK)
    if volumes.seen.sum() < _FEWEST_BLOCKS:
        return 0.0
    factor = _FINE_CHECK.factor
    deviation = factor * corner_deviation(volumes, reduced_size(scene.size, factor), expected)
    share = _share(volumes.scores[volumes.seen], *_parts(volumes))
    return _logistic(
        _FINE_OFFSET + _FINE_SHARE_GAIN * share + _DEVIATION_GAIN * math.log(deviation)
    )


def judge(volumes: Volumes, at: Vectors) -> float:
    """Return the confidence in [0, 1] in block displacements ``Nx2``.

    It rests on two findings: the share of blocks that fit better in place than anywhere else
    around, and the height of the similarity of all blocks in place over its values around, in
    their standard deviations.
    """
    if volumes.seen.sum() < _FEWEST_BLOCKS:
        return 0.0
    near, far = _parts(volumes)
    scores = moved(volumes, at)[volumes.seen]
    total = scores.mean(axis=0)
    peak = float((total[near].max() - total[far].mean()) / (total[far].std() + 1e-6))
    return _logistic(_OFFSET + _SHARE_GAIN * _share(scores, near, far) + _PEAK_GAIN * peak)


def _parts(volumes: Volumes) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which displacements are in place, and which are around."""
    distance = np.linalg.norm(volumes.shifts, axis=1)
    return distance <= _NEAR, distance > _FAR


def _share(scores: FloatImage, near: NDArray[np.bool_], far: NDArray[np.bool_]) -> float:
    """Return the share of blocks that fit better in place than anywhere around."""
    return float((scores[:, near].max(axis=1) > scores[:, far].max(axis=1)).mean())


def _logistic(value: float) -> float:
    return float(1 / (1 + np.exp(-value)))
