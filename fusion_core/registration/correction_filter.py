"""Correction of a calibration: estimated at intervals, filtered, and applied in small steps."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fusion_core.registration.estimation_backend import EstimationBackend
from fusion_core.registration.misalignment import (
    EstimationTask,
    MisalignmentEstimate,
    scene_from_pair,
)
from fusion_core.registration.motion_tracking import CameraMotion
from fusion_core.registration.projective import (
    corner_distance,
    corners,
    mapped,
    normalised,
    to_matrix,
    to_parameters,
)
from fusion_core.registration.rig import Matrix, Size
from fusion_core.registration.settings import RegistrationConfig
from fusion_core.types import AlignedPair

_PERIOD_NS = 500_000_000  # from one measurement to the next
_RATE_PX_S = 10.0  # fastest change of the correction, in pixels per second
_STEP_PX = 0.35  # largest change of the correction from one frame to the next
_OUTLIER_PX = 3.0  # an estimate further off than this is accepted when a second one confirms it
_MAX_GAIN = 0.5
_MIN_GAIN = 0.05


@dataclass(frozen=True, eq=False)
class Correction:
    """State of the refinement.

    Attributes:
        matrix: 3x3 on the visible grid; the thermal image belongs at ``rig(matrix @ pixel)``.
        confidence: Confidence in it in [0, 1].
        residual_px: Mean misalignment of the corners in the last accepted estimate; None before
            the first one.
        size_px: Mean distance by which the correction moves the corners, in pixels.
        measured: Number of estimates.
        accepted: Number of estimates of sufficient confidence.
    """

    matrix: Matrix
    confidence: float = 1.0
    residual_px: float | None = None
    size_px: float = 0.0
    measured: int = 0
    accepted: int = 0


class CorrectionFilter:
    """Filters the estimated misalignments of a pair of cameras into a smooth correction.

    Not safe for use from several threads at once. The same pairs give the same corrections.
    """

    def __init__(self, config: RegistrationConfig, backend: EstimationBackend) -> None:
        self._config = config
        self._backend = backend
        self._epoch = 0
        self.reset_correction()

    def reset_correction(self) -> None:
        """Discard all state: sizes, rig or time have changed."""
        self._epoch += 1
        self._target: Matrix = np.eye(3)
        self._unconfirmed: Matrix | None = None
        self._stamp_ns: int | None = None
        self._due_ns: int | None = None
        self.correction = Correction(np.eye(3))

    def update_correction(self, pair: AlignedPair, applied: Matrix) -> Correction:
        """Process one pair with both images that was aligned with the correction ``applied``.

        The pair is submitted for an estimate when one is due and the backend is idle; every call
        moves the correction one step towards its target.
        """
        if self._stamp_ns is not None and pair.stamp_ns < self._stamp_ns:
            self.reset_correction()
        elapsed_s = 0.0 if self._stamp_ns is None else (pair.stamp_ns - self._stamp_ns) / 1e9
        self._stamp_ns = pair.stamp_ns
        due = self._due_ns is None or pair.stamp_ns >= self._due_ns
        if due and self._backend.is_idle():
            self._due_ns = pair.stamp_ns + _PERIOD_NS
            scene, factor = scene_from_pair(pair)
            task = EstimationTask(self._epoch, _size(pair), factor, applied)
            self._backend.submit_scene(scene, task)
        estimate = self._backend.poll_estimate()
        if estimate is not None and estimate.epoch == self._epoch:
            self._process_estimate(estimate, _size(pair))
        self._step_to_target(pair, elapsed_s)
        return self.correction

    def _process_estimate(self, estimate: MisalignmentEstimate, size: Size) -> None:
        """Update the target and the statistics."""
        if estimate.motion is not None:
            self._propagate_target(estimate.motion)
        before = self.correction
        good = estimate.confidence >= self._config.min_confidence
        gain = _MAX_GAIN if before.measured else 1.0
        if good:
            self._update_target(estimate.matrix, size, self._target_gain(estimate))
        self.correction = replace(
            before,
            confidence=before.confidence + gain * (estimate.confidence - before.confidence),
            residual_px=estimate.residual_px if good else before.residual_px,
            measured=before.measured + 1,
            accepted=before.accepted + good,
        )

    def _propagate_target(self, motion: CameraMotion) -> None:
        """Apply the cameras' own motion, whether or not the two images can be compared."""
        self._target = normalised(motion.propagate(self._target))
        if self._unconfirmed is not None:
            self._unconfirmed = normalised(motion.propagate(self._unconfirmed))

    def _target_gain(self, estimate: MisalignmentEstimate) -> float:
        """Return the weight of an accepted estimate in the target.

        While the cameras are tracked the misalignment is constant and the estimates are averaged,
        weighted by their confidence.
        """
        if not estimate.tracked:
            return _MAX_GAIN
        low = self._config.min_confidence
        surplus = (estimate.confidence - low) / max(1 - low, 1e-6)
        return max(_MAX_GAIN * surplus, 1 / (self.correction.accepted + 2), _MIN_GAIN)

    def _update_target(self, total: Matrix, size: Size, gain: float) -> None:
        """Move the target towards an accepted estimate; a jump needs a second one to confirm it."""
        if corner_distance(total, self._target, size) > _OUTLIER_PX:
            confirmed = (
                self._unconfirmed is not None
                and corner_distance(total, self._unconfirmed, size) < _OUTLIER_PX
            )
            self._target, self._unconfirmed = (total, None) if confirmed else (self._target, total)
            return
        self._unconfirmed = None
        old, new = to_parameters(self._target, size), to_parameters(total, size)
        self._target = to_matrix(old + gain * (new - old), size)

    def _step_to_target(self, pair: AlignedPair, elapsed_s: float) -> None:
        """Move the correction towards the target within the limits of step and rate."""
        before, size = self.correction, _size(pair)
        now, target = mapped(before.matrix, corners(size)), mapped(self._target, corners(size))
        distance = float(np.linalg.norm(target - now, axis=1).max())
        allowed = min(_STEP_PX, _RATE_PX_S * elapsed_s)
        far = corner_distance(self._target, np.eye(3), size) > self._config.range_px
        if distance < 1e-3 or allowed <= 0 or far:
            return
        old, new = to_parameters(before.matrix, size), to_parameters(self._target, size)
        matrix = to_matrix(old + min(1.0, allowed / distance) * (new - old), size)
        size_px = corner_distance(matrix, np.eye(3), size)
        self.correction = replace(before, matrix=matrix, size_px=size_px)


def _size(pair: AlignedPair) -> Size:
    return pair.valid.shape[1], pair.valid.shape[0]
