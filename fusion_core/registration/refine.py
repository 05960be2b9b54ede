"""Correction of a calibration from the pictures, measured now and then and followed smoothly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fusion_core.registration.comparison import Finding, Measurer, Task, scene_of
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
from fusion_core.registration.tracking import Change
from fusion_core.types import AlignedPair

_PERIOD_NS = 500_000_000  # from one measurement to the next
_RATE_PX_S = 10.0  # fastest change of the correction, in pixels per second
_STEP_PX = 0.35  # largest change of the correction from one frame to the next
_NOISE_PX = 3.0  # a measurement further off than this is a bump, and believed when it is seen twice
_GAIN = 0.5  # largest share of a trusted measurement in the correction
_LEAST_GAIN = 0.05


@dataclass(frozen=True, eq=False)
class Correction:
    """What the refinement has found so far.

    Attributes:
        matrix: 3x3 on the visible grid; the thermal picture belongs at ``rig(matrix @ pixel)``.
        confidence: Trust in it in [0, 1].
        residual_px: Misalignment of the last measured pictures, a mean over the corners; None
            before the first measurement that could be trusted.
        size_px: How far the correction moves the corners, in pixels, on average.
        measured: Measurements so far.
        trusted: Those that could be trusted.
    """

    matrix: Matrix
    confidence: float = 1.0
    residual_px: float | None = None
    size_px: float = 0.0
    measured: int = 0
    trusted: int = 0


class Refinement:
    """Follows the misalignment of a pair of cameras from one aligned pair to the next.

    Not safe for use from several threads at once. The same pairs give the same corrections.
    """

    def __init__(self, config: RegistrationConfig, measurer: Measurer) -> None:
        self._config = config
        self._measurer = measurer
        self._epoch = 0
        self.reset()

    def reset(self) -> None:
        """Forget everything: sizes, rig or time have changed."""
        self._epoch += 1
        self._target: Matrix = np.eye(3)
        self._bump: Matrix | None = None
        self._stamp_ns: int | None = None
        self._due_ns: int | None = None
        self.correction = Correction(np.eye(3))

    def update(self, pair: AlignedPair, applied: Matrix) -> Correction:
        """Take in one pair that shows both images and was aligned with the correction ``applied``.

        It is measured when that is due and the measurer is ready; every pair is a step towards
        what is known.
        """
        if self._stamp_ns is not None and pair.stamp_ns < self._stamp_ns:
            self.reset()
        elapsed_s = 0.0 if self._stamp_ns is None else (pair.stamp_ns - self._stamp_ns) / 1e9
        self._stamp_ns = pair.stamp_ns
        due = self._due_ns is None or pair.stamp_ns >= self._due_ns
        if due and self._measurer.ready():
            self._due_ns = pair.stamp_ns + _PERIOD_NS
            scene, factor = scene_of(pair)
            self._measurer.put(scene, Task(self._epoch, _size(pair), factor, applied))
        found = self._measurer.get()
        if found is not None and found.epoch == self._epoch:
            self._take(found, _size(pair))
        self._follow(pair, elapsed_s)
        return self.correction

    def _take(self, found: Finding, size: Size) -> None:
        """Let a measurement move the target."""
        if found.change is not None:
            self._carry(found.change)
        before = self.correction
        good = found.confidence >= self._config.min_confidence
        share = _GAIN if before.measured else 1.0
        if good:
            self._believe(found.matrix, size, self._gain(found.confidence, found.tracked))
        self.correction = Correction(
            before.matrix,
            before.confidence + share * (found.confidence - before.confidence),
            found.residual_px if good else before.residual_px,
            before.size_px,
            before.measured + 1,
            before.trusted + good,
        )

    def _carry(self, change: Change) -> None:
        """Take the cameras' own motion along, whether the pictures can be compared or not."""
        self._target = normalised(change.carried(self._target))
        if self._bump is not None:
            self._bump = normalised(change.carried(self._bump))

    def _gain(self, confidence: float, tracked: bool) -> float:
        """Return the share of a trusted measurement in the target.

        While the cameras' own motion is known the misalignment is a constant, and measurements are
        averaged; the surer ones count more.
        """
        if not tracked:
            return _GAIN
        low = self._config.min_confidence
        surplus = (confidence - low) / max(1 - low, 1e-6)
        return max(_GAIN * surplus, 1 / (self.correction.trusted + 2), _LEAST_GAIN)

    def _believe(self, total: Matrix, size: Size, gain: float) -> None:
        """Move the target towards a trusted measurement."""
        if corner_distance(total, self._target, size) > _NOISE_PX:
            known = self._bump is not None and corner_distance(total, self._bump, size) < _NOISE_PX
            self._target, self._bump = (total, None) if known else (self._target, total)
            return
        self._bump = None
        old, new = to_parameters(self._target, size), to_parameters(total, size)
        self._target = to_matrix(old + gain * (new - old), size)

    def _follow(self, pair: AlignedPair, elapsed_s: float) -> None:
        """Move the correction towards the target, no faster than allowed."""
        before, size = self.correction, _size(pair)
        now, target = mapped(before.matrix, corners(size)), mapped(self._target, corners(size))
        way = float(np.linalg.norm(target - now, axis=1).max())
        allowed = min(_STEP_PX, _RATE_PX_S * elapsed_s)
        far = corner_distance(self._target, np.eye(3), size) > self._config.range_px
        if way < 1e-3 or allowed <= 0 or far:
            return
        old, new = to_parameters(before.matrix, size), to_parameters(self._target, size)
        matrix = to_matrix(old + min(1.0, allowed / way) * (new - old), size)
        self.correction = Correction(
            matrix,
            before.confidence,
            before.residual_px,
            corner_distance(matrix, np.eye(3), size),
            before.measured,
            before.trusted,
        )


def _size(pair: AlignedPair) -> Size:
    return pair.valid.shape[1], pair.valid.shape[0]
