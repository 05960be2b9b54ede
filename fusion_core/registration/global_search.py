"""Global search for the homography of a single pair, to a fraction of a pixel.

Descriptors are computed at full resolution and averaged to coarser grids, which keeps information
about fine detail that a reduced image loses; so the maximum of the likelihood on a coarse grid is
near that on the finest. Several searches run from different starts; of their results the likeliest
is refined.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from fusion_core.registration.homography_search import (
    dominant_shift,
    maximise_likelihood,
    refine_homography,
)
from fusion_core.registration.likelihood import log_likelihood
from fusion_core.registration.projective import corner_distance, rescaled, to_matrix
from fusion_core.registration.pyramid import reduced_size
from fusion_core.registration.rig import Matrix
from fusion_core.registration.scene_pyramid import IDENTITY, FullDetailPyramid, PyramidLevel
from fusion_core.registration.volumes import extend_volumes

# Prior of unregistered pairs: standard deviations of shift, linear and projective part, relative
# to half the width.
EXPECTED: Final = np.array([0.3, 0.3, 0.1, 0.1, 0.1, 0.1, 0.05, 0.05])
_FIRST: Final = PyramidLevel(4, 10, 12, (8, 6, 4, 3, 2, 1.5, 1))
# The few coarse blocks do not determine perspective: one start allows little of it and is limited
# by the displacements compared, the other allows more and extrapolates beyond them.
_STARTS: Final = (
    (0, np.array([0.3, 0.3, 0.06, 0.06, 0.06, 0.06, 0.006, 0.006])),
    (8, np.array([0.3, 0.3, 0.1, 0.1, 0.1, 0.1, 0.02, 0.02])),
)
_COARSE: Final = PyramidLevel(2, 4, 10, (3, 2, 1.5, 1), margin=2)
# Blocks of 90 pixels determine the corners more precisely than blocks of 60.
_FINE: Final = PyramidLevel(1, 2, 30, (1,), margin=2)
_SAME_PX = 1.0  # results nearer to one another than this are the same
_CONVERGED = 0.05  # change in pixels of the grid at which the iteration stops
_MAX_ITERATIONS = 8


def search_homography(scene: FullDetailPyramid) -> Matrix:
    """Return the likeliest homography from visible to thermal pixels of the scene's grid."""
    results: list[Matrix] = []
    for start in _start_matrices(scene):
        for result in _iterate(scene, start, _COARSE):
            if any(corner_distance(result, other, scene.size) < _SAME_PX for other in results):
                break
        else:
            results.append(result)
    if len(results) > 1:
        results.sort(key=lambda result: log_likelihood(scene.volumes(result, _COARSE), 1.0))
    *_, found = _iterate(scene, results[-1], _FINE)
    return found


def _start_matrices(scene: FullDetailPyramid) -> list[Matrix]:
    """Return the identity, and the alignments found at a quarter of the resolution."""
    size = reduced_size(scene.size, _FIRST.factor)
    volumes = scene.volumes(IDENTITY, _FIRST)
    shift = np.zeros(8)
    shift[:2] = dominant_shift(volumes) / (max(size) / 2)
    starts = [IDENTITY]
    for margin, expected in _STARTS:
        extended = extend_volumes(volumes, margin)
        step = maximise_likelihood(extended, size, np.zeros(8), shift, expected, _FIRST.spreads)
        starts.append(rescaled(to_matrix(step, size), _FIRST.factor))
    return starts


def _iterate(scene: FullDetailPyramid, matrix: Matrix, level: PyramidLevel) -> Iterator[Matrix]:
    """Warp and compare until the corners no longer move."""
    for _ in range(_MAX_ITERATIONS):
        before = matrix
        matrix = refine_homography(scene, matrix, level, EXPECTED)
        yield matrix
        if corner_distance(matrix, before, scene.size) < _CONVERGED * level.factor:
            break
