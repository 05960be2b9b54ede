"""How the cameras have moved against each other, from each camera's own motion.

A picture compares with an earlier one of the same camera far better than with the other camera's:
the thermal camera sees its own scene through smoke and at night. A knock or a drift of one camera
moves its picture and not the other's; the robot's motion moves both. Each camera is compared with a
keyframe of its own, so that nothing adds up over time while the keyframe stays in sight.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from fusion_core.registration.confidence import judge
from fusion_core.registration.evidence import likelihood
from fusion_core.registration.features import Features
from fusion_core.registration.parametric import IDENTITY, Level, Scene, climb, vote_for
from fusion_core.registration.projective import corner_distance, jacobian, mapped, to_matrix
from fusion_core.registration.pyramid import reduced_size
from fusion_core.registration.rig import Matrix, Size
from fusion_core.registration.volumes import Volumes, correlate

_COARSE: Final = Level(4, 5, 8, (2, 1.5, 1))
_FINE: Final = Level(2, 3, 8, (1.5, 1))
# A knock turns a camera: that is a shift, a little roll, and hardly anything else.
_EXPECTED: Final = np.array([0.2, 0.2, 0.001, 0.001, 0.001, 0.001, 0.0001, 0.0001])
_SURE = 0.9  # confidence of a motion that is taken as measured
_LOST = 0.7  # confidence below which the thermal keyframe is out of sight
_NOISE_PX = 0.3  # smaller changes are none
_STILL_PX = 1.0  # thermal motion from which on it matters whether a hidden scene moves, too
_EVIDENCE = 10.0  # log-likelihood ratio that decides whether a hidden scene stands still
_MEMORY = 0.7  # of that ratio from one measurement to the next
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
    coarse: Volumes
    fine: Volumes


class Tracker:
    """Compares both cameras with their keyframes, measurement by measurement."""

    def __init__(self) -> None:
        self._key: Scene | None = None
        self._key_applied: Matrix = np.eye(3)
        self._carried = NO_CHANGE  # since the keyframe
        self._stillness = 0.0
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
        seen = self._visible_motion(visible, moved, scene.size)
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
        self._carried, self._stillness, self._weak = NO_CHANGE, 0.0, 0

    def _visible_motion(self, found: _Motion, moved: Matrix, size: Size) -> Matrix | None:
        """Return the visible picture's motion, or None where it cannot be told.

        Where smoke hides too much to measure it, two cases are left: the visible picture stands
        still and the thermal camera alone has moved, or both have moved alike. What is seen of the
        scene tells them apart once the motion is large enough.
        """
        if found.confidence >= _SURE:
            self._stillness = 0.0
            return found.matrix
        ratio = _ratio(found, moved, size)
        self._stillness = _MEMORY * self._stillness + ratio
        return IDENTITY if self._stillness > _EVIDENCE else None


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
    return _Motion(to_matrix(step, scene.size), confidence, coarse, fine)


def _compared(key: Scene, scene: Scene, camera: int, level: Level) -> Volumes:
    before: Features = key.described(level.factor)[camera]
    now: Features = scene.described(level.factor)[camera]
    return correlate(before, now, level.reach, level.cell)


def _ratio(found: _Motion, moved: Matrix, size: Size) -> float:
    """Return how much likelier it is that the picture stands still than that it moved."""
    centre = (np.array(size) - 1) / 2
    shift = mapped(moved, centre[None])[0] - centre
    near = np.abs(shift).max() <= (_FINE.reach - 1) * _FINE.factor
    volumes, level = (found.fine, _FINE) if near else (found.coarse, _COARSE)
    way = shift / level.factor
    still = np.zeros_like(volumes.centres)
    return likelihood(volumes, still, 1.0) - likelihood(volumes, still + way, 1.0)
