"""The homography of a single pair, found to a fraction of a pixel wherever the search begins.

Pictures are described at whole resolution, and the descriptors averaged to coarser grids: what a
reduced picture no longer shows, a mean of fine detail still tells, so that the likeliest homography
of a coarse grid is near that of the finest. Several searches look for it; where they end apart, the
likeliest end counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import cv2
import numpy as np

from fusion_core.registration.evidence import support
from fusion_core.registration.features import Features, describe
from fusion_core.registration.parametric import IDENTITY, Level, Scene, climb, improved, vote_for
from fusion_core.registration.projective import corner_distance, rescaled, to_matrix
from fusion_core.registration.pyramid import averaged, reduced_size
from fusion_core.registration.rig import Matrix
from fusion_core.registration.volumes import Volumes, correlate, widened

# Expected of unregistered pairs: shift, linear and projective part, relative to half the width.
EXPECTED: Final = np.array([0.3, 0.3, 0.1, 0.1, 0.1, 0.1, 0.05, 0.05])
_FIRST: Final = Level(4, 10, 12, (8, 6, 4, 3, 2, 1.5, 1))
# Few coarse blocks cannot tell perspective: the searches begin with little of it and with some,
# held back by the ends of the displacements compared, and not.
_BEGINNINGS: Final = (
    (0, np.array([0.3, 0.3, 0.06, 0.06, 0.06, 0.06, 0.006, 0.006])),
    (8, np.array([0.3, 0.3, 0.1, 0.1, 0.1, 0.1, 0.02, 0.02])),
)
_COARSE: Final = Level(2, 4, 10, (3, 2, 1.5, 1), margin=2)
# Blocks of 90 pixels place the corners more surely than blocks of 60 do.
_FINE: Final = Level(1, 2, 30, (1,), margin=2)
_SAME_PX = 1.0  # ends nearer to one another than this are one
_SETTLED = 0.05  # of a pixel of the grid
_MOST_PASSES = 8
_GRID = 4  # of the means of a pixel's surroundings


class Detail(Scene):
    """A scene whose coarse levels compare averages of the finest descriptors."""

    def described(self, factor: int) -> tuple[Features, Features]:
        """Return the averaged descriptors of the visible and thermal picture, computed once."""
        if factor not in self._described:
            if factor == 1:
                everywhere = np.ones(self.valid.shape, np.float32)
                pair = describe(self.visible, everywhere, _GRID), self._thermal(IDENTITY)
            else:
                visible, thermal = self.described(1)
                pair = averaged(visible, factor), averaged(thermal, factor)
            self._described[factor] = pair
        return self._described[factor]

    def volumes(self, matrix: Matrix, level: Level) -> Volumes:
        """Compare the pictures around the alignment ``matrix``."""
        visible, thermal = self.described(level.factor)
        if not np.array_equal(matrix, IDENTITY):
            thermal = averaged(self._thermal(matrix), level.factor)
        # the finest descriptors are smooth: every second pixel says as much as all
        step = 2 if level.factor == 1 else 1
        return widened(correlate(visible, thermal, level.reach, level.cell, step), level.margin)

    def _thermal(self, matrix: Matrix) -> Features:
        """Return the descriptors of the thermal picture at ``matrix @ pixel``.

        The border of what is valid moves by fractions of a pixel with the picture. If it jumped
        from pixel to pixel, so would the likelihood, and the search would go back and forth.
        """
        flags = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
        thermal, valid = (
            np.asarray(cv2.warpPerspective(image, matrix, self.size, flags=flags), np.float32)
            for image in (self.thermal, self.valid.astype(np.float32))
        )
        return describe(thermal, valid, _GRID)


def find(scene: Detail) -> Matrix:
    """Return the likeliest homography from visible to thermal pixels of the scene's grid."""
    ends: list[Matrix] = []
    for beginning in _beginnings(scene):
        for end in _path(scene, beginning, _COARSE):
            if any(corner_distance(end, other, scene.size) < _SAME_PX for other in ends):
                break
        else:
            ends.append(end)
    if len(ends) > 1:
        ends.sort(key=lambda end: support(scene.volumes(end, _COARSE), 1.0))
    *_, found = _path(scene, ends[-1], _FINE)
    return found


def _beginnings(scene: Detail) -> list[Matrix]:
    """Return where blocks at a quarter of the resolution place the thermal picture."""
    size = reduced_size(scene.size, _FIRST.factor)
    volumes = scene.volumes(IDENTITY, _FIRST)
    begin = np.zeros(8)
    begin[:2] = vote_for(volumes) / (max(size) / 2)
    found = [IDENTITY]
    for margin, expected in _BEGINNINGS:
        step = climb(widened(volumes, margin), size, np.zeros(8), begin, expected, _FIRST.spreads)
        found.append(rescaled(to_matrix(step, size), _FIRST.factor))
    return found


def _path(scene: Scene, matrix: Matrix, level: Level) -> Iterator[Matrix]:
    """Warp and compare until that moves the corners no more."""
    for _ in range(_MOST_PASSES):
        before = matrix
        matrix = improved(scene, matrix, level, EXPECTED)
        yield matrix
        if corner_distance(matrix, before, scene.size) < _SETTLED * level.factor:
            break
