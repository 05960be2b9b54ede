"""How the cameras have moved against each other, from each camera's own motion.

A picture compares with an earlier one of the same camera far better than with the other camera's:
the thermal camera sees its own scene through smoke and at night. A knock or a drift of one camera
moves its picture and not the other's; the robot's motion moves both. Each camera is compared with a
keyframe of its own, so that nothing adds up over time while the keyframe stays in sight.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from fusion_core.registration.confidence import judge
from fusion_core.registration.features import Features
from fusion_core.registration.parametric import Level, Scene, climb, vote_for
from fusion_core.registration.projective import corner_distance, jacobian, to_matrix
from fusion_core.registration.pyramid import reduced_size
from fusion_core.registration.rig import Matrix, Size
from fusion_core.registration.volumes import Vectors, Volumes, correlate
from fusion_core.types import FloatImage

_COARSE: Final = Level(4, 5, 8, (2, 1.5, 1))
_FINE: Final = Level(2, 5, 8, (1.5, 1))
# A knock turns a camera: that is a shift, a little roll, and hardly anything else.
_EXPECTED: Final = np.array([0.2, 0.2, 0.001, 0.001, 0.001, 0.001, 0.0001, 0.0001])
_SURE = 0.9  # confidence of a motion that is taken as measured
_LOST = 0.7  # confidence below which the thermal keyframe is out of sight
_NOISE_PX = 0.3  # smaller changes are none
_ROUGH_PX = 0.5  # the same for the visible picture where it is hidden
_STILL_PX = 1.0  # thermal motion from which on it matters whether a hidden scene moves, too
_BROAD = 1.5  # standard deviation in reduced pixels of what is not sharp
_SHARP = 0.008  # height of a peak; of two different scenes it is below 0.0065
_KEPT = 20  # measurements for which a keyframe that shows too little is kept


@dataclass(frozen=True, eq=False)
class Change:
    """What a motion of the cameras makes of an alignment.

    Attributes:
        thermal: 3x3, how the thermal picture has moved on the visible grid.
        visible: The same for the visible picture.
    """

    thermal: Matrix
    visible: Matrix

    def carried(self, matrix: Matrix) -> Matrix:
        """Return the alignment that has become of ``matrix``."""
        return np.asarray(self.thermal @ matrix @ np.linalg.inv(self.visible))


NO_CHANGE: Final = Change(np.eye(3), np.eye(3))


@dataclass(frozen=True, eq=False)
class _Motion:
    """Where a camera's picture has moved since its keyframe, and how surely."""

    matrix: Matrix
    confidence: float
    fine: Volumes


class Tracker:
    """Compares both cameras with their keyframes, measurement by measurement."""

    def __init__(self) -> None:
        self._key: Scene | None = None
        self._key_applied: Matrix = np.eye(3)
        self._carried = NO_CHANGE  # since the keyframe
        self._weak = 0

    def follow(self, scene: Scene, applied: Matrix) -> Change | None:
        """Return how the cameras have moved against each other since the last call.

        None means that it cannot be told: the scene has changed, or the thermal picture has moved
        and the visible one shows too little to say whether it has, too.

        Args:
            scene: A new pair of pictures.
            applied: The correction that its thermal picture has been through.
        """
        key = self._key
        if key is None or key.size != scene.size:
            self._begin(scene, applied)
            return None
        thermal = _motion(key, scene, 1)
        if thermal.confidence < _LOST:
            self._begin(scene, applied)
            return None
        visible = _motion(key, scene, 0)
        moved = applied @ thermal.matrix @ np.linalg.inv(self._key_applied)
        seen = _seen_motion(visible, self._carried.visible)
        if seen is None:
            before = self._carried.thermal
            near = corner_distance(moved, before, scene.size) < _STILL_PX
            return NO_CHANGE if near else None
        change = self._step(Change(moved, seen), applied, scene.size)
        self._weak = self._weak + 1 if min(thermal.confidence, visible.confidence) < _SURE else 0
        if self._weak >= _KEPT:
            self._begin(scene, applied)
        return change

    def _step(self, now: Change, applied: Matrix, size: Size) -> Change:
        """Return what is new since what was last carried, if it is more than noise."""
        before = self._carried
        step = Change(
            now.thermal @ np.linalg.inv(before.thermal), now.visible @ np.linalg.inv(before.visible)
        )
        if corner_distance(step.carried(applied), applied, size) < _NOISE_PX:
            return NO_CHANGE
        self._carried = now
        return step

    def _begin(self, scene: Scene, applied: Matrix) -> None:
        """Take a pair as the new keyframes."""
        for level in (_COARSE, _FINE):
            scene.described(level.factor)
        self._key, self._key_applied = scene, applied
        self._carried, self._weak = NO_CHANGE, 0


def _motion(key: Scene, scene: Scene, camera: int) -> _Motion:
    """Compare one camera (0: visible, 1: thermal) with its keyframe, coarse to fine."""
    coarse, fine = (_compared(key, scene, camera, level) for level in (_COARSE, _FINE))
    size = reduced_size(scene.size, _COARSE.factor)
    step = np.zeros(8)
    step[:2] = vote_for(coarse) / (max(size) / 2)
    step = climb(coarse, size, np.zeros(8), step, _EXPECTED, _COARSE.spreads)
    at = jacobian(coarse.centres, size) @ step
    confidence = judge(coarse, at)
    size = reduced_size(scene.size, _FINE.factor)
    if np.abs(jacobian(fine.centres, size) @ step).max() < _FINE.reach - 1:
        step = climb(fine, size, np.zeros(8), step, _EXPECTED, _FINE.spreads)
    return _Motion(to_matrix(step, scene.size), confidence, fine)


def _seen_motion(visible: _Motion, before: Matrix) -> Matrix | None:
    """Return the visible picture's motion, or None where it cannot be told."""
    if visible.confidence >= _SURE:
        return visible.matrix
    shift = _through_smoke(visible.fine)
    if shift is None:
        return None
    matrix = np.eye(3)
    matrix[:2, 2] = shift * _FINE.factor
    rough = np.abs(matrix[:2, 2] - before[:2, 2]).max() < _ROUGH_PX
    return before if rough else matrix


def _compared(key: Scene, scene: Scene, camera: int, level: Level) -> Volumes:
    before: Features = key.described(level.factor)[camera]
    now: Features = scene.described(level.factor)[camera]
    return correlate(before, now, level.reach, level.cell)


def _through_smoke(volumes: Volumes) -> Vectors | None:
    """Return the shift in reduced pixels of what little is seen of a scene, or None.

    Smoke is smooth and moves: its similarity changes gently from displacement to displacement. Even
    faint traces of the scene's fine detail stand out of that as a sharp peak in the mean of all
    blocks, which is found by taking the smooth part away.
    """
    side = round(len(volumes.shifts) ** 0.5)
    mean = volumes.scores.mean(axis=0).reshape(side, side)
    sharp = mean - cv2.GaussianBlur(mean, (0, 0), _BROAD)
    row, column = divmod(int(sharp.argmax()), side)
    if sharp[row, column] < _SHARP or not (0 < row < side - 1 and 0 < column < side - 1):
        return None
    across, down = sharp[row, column - 1 : column + 2], sharp[row - 1 : row + 2, column]
    offset = np.array([_summit(across), _summit(down)])
    return np.asarray(np.array([column, row]) - side // 2 + offset, np.float64)


def _summit(values: FloatImage) -> float:
    """Return where the parabola through three values is highest, from the middle one."""
    before, here, after = values.tolist()
    return float(0.5 * (before - after) / (before - 2 * here + after))
