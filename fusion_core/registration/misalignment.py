"""The misalignment of a pair of cameras, estimated from one pair of images after the other."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from fusion_core.registration.motion_tracking import NO_MOTION, CameraMotion, MotionTracker
from fusion_core.registration.projective import corner_distance, rescaled
from fusion_core.registration.pyramid import downscale, work_factor
from fusion_core.registration.rig import Matrix, Size
from fusion_core.registration.scene_pyramid import ScenePyramid
from fusion_core.registration.settings import RegistrationConfig
from fusion_core.registration.temporal_volumes import TemporalVolumes, wide_search
from fusion_core.types import AlignedPair

_WIDE_SEARCH_EVERY = 4  # consecutive estimates of low confidence per wide search


@dataclass(frozen=True, eq=False)
class EstimationTask:
    """What an estimate needs beside the images of a pair.

    Attributes:
        epoch: Pairs of different epochs are unrelated.
        size: Width and height of the full visible image.
        factor: Reduction of the images before they are compared.
        applied: Correction with which the thermal image was warped, 3x3 in full-size pixels.
    """

    epoch: int
    size: Size
    factor: int
    applied: Matrix


@dataclass(frozen=True, eq=False)
class MisalignmentEstimate:
    """Result of one pair, in pixels of the full visible image.

    Attributes:
        epoch: That of its task.
        motion: How the cameras moved against each other since the previous pair, None without a
            known motion.
        tracked: Whether the cameras could be tracked, with or without a motion.
        matrix: 3x3, total correction of the rig.
        confidence: Confidence in ``matrix`` in [0, 1].
        residual_px: Mean distance of the corners from the correction applied.
    """

    epoch: int
    motion: CameraMotion | None
    tracked: bool
    matrix: Matrix
    confidence: float
    residual_px: float


class MisalignmentEstimator:
    """Estimates the correction of a rig, pair by pair; the same pairs give the same estimates."""

    def __init__(self, config: RegistrationConfig) -> None:
        self._config = config
        self._begin_epoch(0)

    def _begin_epoch(self, epoch: int) -> None:
        """Discard the state of all earlier pairs."""
        self._epoch = epoch
        self._low_in_a_row = 0
        self._volumes = TemporalVolumes()
        self._motion_tracker = MotionTracker()

    def estimate_misalignment(
        self, scene: ScenePyramid, task: EstimationTask
    ) -> MisalignmentEstimate:
        """Estimate the total correction from one pair and those before it."""
        if task.epoch != self._epoch:
            self._begin_epoch(task.epoch)
        factor = task.factor
        start = rescaled(task.applied, 1 / factor)
        motion = self._motion_tracker.track_motion(scene, start)
        full_motion = None
        if motion is not None and motion is not NO_MOTION:
            self._volumes.apply_motion(motion)
            full_motion = CameraMotion(
                rescaled(motion.thermal, factor), rescaled(motion.visible, factor)
            )
        found = self._volumes.align_scene(scene, start)
        low = self._config.min_confidence
        due = self._low_in_a_row % _WIDE_SEARCH_EVERY == _WIDE_SEARCH_EVERY - 1
        if found.confidence < low and due:
            wider = wide_search(scene, start)
            if wider.confidence >= low:
                found, self._volumes = wider, TemporalVolumes()
        total, confidence = rescaled(found.matrix, factor), found.confidence
        if corner_distance(total, np.eye(3), task.size) > self._config.range_px:
            confidence = 0.0
        self._low_in_a_row = 0 if confidence >= low else self._low_in_a_row + 1
        residual = corner_distance(total, task.applied, task.size)
        return MisalignmentEstimate(
            task.epoch, full_motion, motion is not None, total, confidence, residual
        )


def scene_from_pair(pair: AlignedPair) -> tuple[ScenePyramid, int]:
    """Return both images of a pair at working size, and the reduction factor."""
    assert pair.visible is not None
    assert pair.thermal is not None
    height, width = pair.valid.shape
    factor = work_factor((width, height))
    luma = np.asarray(cv2.cvtColor(pair.visible, cv2.COLOR_RGB2GRAY), np.float32)
    valid = downscale(pair.valid.astype(np.float32), factor) > 0.99
    thermal = downscale(pair.thermal, factor) * 255
    return ScenePyramid(downscale(luma, factor), thermal, valid), factor
