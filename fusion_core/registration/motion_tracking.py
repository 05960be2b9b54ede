"""Motion of the cameras against each other, from the motion of each camera's own image.

An image is compared more reliably with an earlier one of the same camera than with the other
camera's: the thermal camera sees its scene through smoke and at night. A knock or a drift of one
camera moves only its own image; the robot's motion moves both. Each camera is compared with a
keyframe, so that errors do not accumulate while the keyframe stays in view.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from fusion_core.registration.confidence import match_confidence
from fusion_core.registration.homography_search import dominant_shift, maximise_likelihood
from fusion_core.registration.projective import corner_distance, jacobian, to_matrix
from fusion_core.registration.pyramid import reduced_size
from fusion_core.registration.rig import Matrix, Size
from fusion_core.registration.scene_pyramid import PyramidLevel, ScenePyramid
from fusion_core.registration.volumes import SimilarityVolumes, Vectors, correlate_blocks
from fusion_core.types import FloatImage

_COARSE: Final = PyramidLevel(4, 5, 8, (2, 1.5, 1))
_FINE: Final = PyramidLevel(2, 5, 8, (1.5, 1))
# A knock rotates a camera: that is a shift, a little roll, and hardly anything else.
_EXPECTED: Final = np.array([0.2, 0.2, 0.001, 0.001, 0.001, 0.001, 0.0001, 0.0001])
_RELIABLE = 0.9  # confidence of a motion that is taken as measured
_LOST = 0.7  # confidence below which the thermal keyframe is out of view
_NOISE_PX = 0.3  # smaller motions are ignored
_OBSCURED_NOISE_PX = 0.5  # the same for the visible image while it is obscured
_STILL_PX = 1.0  # thermal motion above which the motion of an obscured scene must be known
_BLUR = 1.5  # standard deviation in reduced pixels that separates sharp peaks from smoke
_PEAK = 0.008  # least height of a peak; between two different scenes it is below 0.0065
_MAX_WEAK = 20  # measurements of low confidence after which a keyframe is replaced


@dataclass(frozen=True, eq=False)
class CameraMotion:
    """Motion of both cameras' images.

    Attributes:
        thermal: 3x3 motion of the thermal image on the visible grid.
        visible: The same for the visible image.
    """

    thermal: Matrix
    visible: Matrix

    def propagate(self, matrix: Matrix) -> Matrix:
        """Return what the alignment ``matrix`` becomes through the motion."""
        return np.asarray(self.thermal @ matrix @ np.linalg.inv(self.visible))


NO_MOTION: Final = CameraMotion(np.eye(3), np.eye(3))


@dataclass(frozen=True, eq=False)
class _ImageMotion:
    """Motion of one camera's image since its keyframe."""

    matrix: Matrix
    confidence: float
    fine: SimilarityVolumes


class MotionTracker:
    """Tracks the motion of both cameras against their keyframes."""

    def __init__(self) -> None:
        self._key: ScenePyramid | None = None
        self._key_applied: Matrix = np.eye(3)
        self._reported = NO_MOTION  # motion since the keyframe that was already returned
        self._weak = 0

    def track_motion(self, scene: ScenePyramid, applied: Matrix) -> CameraMotion | None:
        """Return how the cameras moved against each other since the last call, None if unknown.

        The motion is unknown when the scene has changed, or when the thermal image has moved and
        the visible one is too obscured to decide whether it has moved, too.

        Args:
            scene: A new pair of images.
            applied: The correction with which its thermal image was warped.
        """
        key = self._key
        if key is None or key.size != scene.size:
            self._set_keyframe(scene, applied)
            return None
        thermal = _image_motion(key, scene, 1)
        if thermal.confidence < _LOST:
            self._set_keyframe(scene, applied)
            return None
        visible = _image_motion(key, scene, 0)
        moved = applied @ thermal.matrix @ np.linalg.inv(self._key_applied)
        seen = _visible_motion(visible, self._reported.visible)
        if seen is None:
            before = self._reported.thermal
            near = corner_distance(moved, before, scene.size) < _STILL_PX
            return NO_MOTION if near else None
        step = self._new_motion(CameraMotion(moved, seen), applied, scene.size)
        weak = min(thermal.confidence, visible.confidence) < _RELIABLE
        self._weak = self._weak + 1 if weak else 0
        if self._weak >= _MAX_WEAK:
            self._set_keyframe(scene, applied)
        return step

    def _new_motion(self, now: CameraMotion, applied: Matrix, size: Size) -> CameraMotion:
        """Return the motion since the one returned last, unless it is noise."""
        before = self._reported
        step = CameraMotion(
            now.thermal @ np.linalg.inv(before.thermal), now.visible @ np.linalg.inv(before.visible)
        )
        if corner_distance(step.propagate(applied), applied, size) < _NOISE_PX:
            return NO_MOTION
        self._reported = now
        return step

    def _set_keyframe(self, scene: ScenePyramid, applied: Matrix) -> None:
        """Use a pair as the new keyframes."""
        for level in (_COARSE, _FINE):
            scene.descriptors(level.factor)
        self._key, self._key_applied = scene, applied
        self._reported, self._weak = NO_MOTION, 0


def _image_motion(key: ScenePyramid, scene: ScenePyramid, camera: int) -> _ImageMotion:
    """Compare one camera (0: visible, 1: thermal) with its keyframe, coarse to fine."""
    coarse, fine = (_correlate_with_key(key, scene, camera, level) for level in (_COARSE, _FINE))
    size = reduced_size(scene.size, _COARSE.factor)
    step = np.zeros(8)
    step[:2] = dominant_shift(coarse) / (max(size) / 2)
    step = maximise_likelihood(coarse, size, np.zeros(8), step, _EXPECTED, _COARSE.spreads)
    at = jacobian(coarse.centres, size) @ step
    confidence = match_confidence(coarse, at)
    size = reduced_size(scene.size, _FINE.factor)
    if np.abs(jacobian(fine.centres, size) @ step).max() < _FINE.reach - 1:
        step = maximise_likelihood(fine, size, np.zeros(8), step, _EXPECTED, _FINE.spreads)
    return _ImageMotion(to_matrix(step, scene.size), confidence, fine)


def _visible_motion(visible: _ImageMotion, before: Matrix) -> Matrix | None:
    """Return the visible image's motion, None where it is unknown."""
    if visible.confidence >= _RELIABLE:
        return visible.matrix
    shift = _shift_through_smoke(visible.fine)
    if shift is None:
        return None
    matrix = np.eye(3)
    matrix[:2, 2] = shift * _FINE.factor
    unchanged = np.abs(matrix[:2, 2] - before[:2, 2]).max() < _OBSCURED_NOISE_PX
    return before if unchanged else matrix


def _correlate_with_key(
    key: ScenePyramid, scene: ScenePyramid, camera: int, level: PyramidLevel
) -> SimilarityVolumes:
    before = key.descriptors(level.factor)[camera]
    now = scene.descriptors(level.factor)[camera]
    return correlate_blocks(before, now, level.reach, level.cell)


def _shift_through_smoke(volumes: SimilarityVolumes) -> Vectors | None:
    """Return the shift in reduced pixels of a faintly visible scene, None without a clear peak.

    Smoke is smooth and moves: its similarity varies slowly over displacements. Even faint fine
    detail of the scene adds a sharp peak to the mean of all blocks, which high-pass filtering
    extracts.
    """
    side = round(len(volumes.shifts) ** 0.5)
    mean = volumes.scores.mean(axis=0).reshape(side, side)
    sharp = mean - cv2.GaussianBlur(mean, (0, 0), _BLUR)
    row, column = divmod(int(sharp.argmax()), side)
    if sharp[row, column] < _PEAK or not (0 < row < side - 1 and 0 < column < side - 1):
        return None
    across, down = sharp[row, column - 1 : column + 2], sharp[row - 1 : row + 2, column]
    offset = np.array([_parabola_peak(across), _parabola_peak(down)])
    return np.asarray(np.array([column, row]) - side // 2 + offset, np.float64)


def _parabola_peak(values: FloatImage) -> float:
    """Return the position of the maximum of the parabola through three values, from the middle."""
    before, here, after = values.tolist()
    return float(0.5 * (before - after) / (before - 2 * here + after))
