"""Comparison of one pair of pictures after the other: what takes time in the refinement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from fusion_core.registration.measure import Evidence, search
from fusion_core.registration.parametric import Scene
from fusion_core.registration.projective import corner_distance, rescaled
from fusion_core.registration.pyramid import reduced, work_factor
from fusion_core.registration.rig import Matrix, Size
from fusion_core.registration.settings import RegistrationConfig
from fusion_core.registration.tracking import NO_CHANGE, Change, Tracker
from fusion_core.types import AlignedPair

_PATIENCE = 4  # measurements without trust from one wider search to the next


@dataclass(frozen=True, eq=False)
class Task:
    """What has to be known of a pair beside its pictures.

    Attributes:
        epoch: Pairs of different epochs have nothing to do with each other.
        size: Width and height of the whole visible picture.
        factor: By which it was reduced before it is compared.
        applied: Correction that the thermal picture has been through, 3x3 on the whole picture.
    """

    epoch: int
    size: Size
    factor: int
    applied: Matrix


@dataclass(frozen=True, eq=False)
class Finding:
    """What one pair has shown, in pixels of the whole visible picture.

    Attributes:
        epoch: That of its task.
        change: How the cameras have moved against each other since the pair before, None where
            they have not, as far as is known.
        tracked: Whether that is known.
        matrix: 3x3, the whole correction of the rig.
        confidence: Trust in it in [0, 1].
        residual_px: Distance from the correction applied, a mean over the corners.
    """

    epoch: int
    change: Change | None
    tracked: bool
    matrix: Matrix
    confidence: float
    residual_px: float


class Measurer(Protocol):
    """Takes pairs to compare and gives what they have shown, at once or later."""

    @property
    def failed(self) -> bool:
        """Whether nothing is measured at present."""

    def ready(self) -> bool:
        """Return whether a pair can be taken."""

    def put(self, scene: Scene, task: Task) -> None:
        """Take a pair; only when ready."""

    def get(self) -> Finding | None:
        """Return what has been found since the last call, if anything."""

    def close(self) -> None:
        """Release what is held."""


class InPlace:
    """Compares a pair in the caller's thread, before ``put`` returns."""

    failed = False

    def __init__(self, config: RegistrationConfig) -> None:
        self._comparison = Comparison(config)
        self._finding: Finding | None = None

    def ready(self) -> bool:
        """Return True."""
        return True

    def put(self, scene: Scene, task: Task) -> None:
        """Compare a pair."""
        self._finding = self._comparison.measure(scene, task)

    def get(self) -> Finding | None:
        """Return what was found in the pair put last, once."""
        finding, self._finding = self._finding, None
        return finding

    def close(self) -> None:
        """Do nothing."""


class Comparison:
    """Finds the misalignment of one pair after the other; the same pairs give the same findings."""

    def __init__(self, config: RegistrationConfig) -> None:
        self._config = config
        self._begin(0)

    def _begin(self, epoch: int) -> None:
        """Forget all pairs so far."""
        self._epoch = epoch
        self._doubts = 0
        self._evidence = Evidence()
        self._tracker = Tracker()

    def measure(self, scene: Scene, task: Task) -> Finding:
        """Estimate the whole correction from one pair and those before."""
        if task.epoch != self._epoch:
            self._begin(task.epoch)
        factor = task.factor
        start = rescaled(task.applied, 1 / factor)
        change = self._tracker.follow(scene, start)
        carried = None
        if change is not None and change is not NO_CHANGE:
            self._evidence.carry(change)
            carried = Change(rescaled(change.thermal, factor), rescaled(change.visible, factor))
        found = self._evidence.measure(scene, start)
        low = self._config.min_confidence
        if found.confidence < low and self._doubts % _PATIENCE == _PATIENCE - 1:
            wider = search(scene, start)
            if wider.confidence >= low:
                found, self._evidence = wider, Evidence()
        total, confidence = rescaled(found.matrix, factor), found.confidence
        if corner_distance(total, np.eye(3), task.size) > self._config.range_px:
            confidence = 0.0
        self._doubts = 0 if confidence >= low else self._doubts + 1
        residual = corner_distance(total, task.applied, task.size)
        return Finding(task.epoch, carried, change is not None, total, confidence, residual)


def scene_of(pair: AlignedPair) -> tuple[Scene, int]:
    """Return the pictures of a pair with both at working size, and the factor of the reduction."""
    assert pair.visible is not None
    assert pair.thermal is not None
    height, width = pair.valid.shape
    factor = work_factor((width, height))
    luma = np.asarray(cv2.cvtColor(pair.visible, cv2.COLOR_RGB2GRAY), np.float32)
    valid = reduced(pair.valid.astype(np.float32), factor) > 0.99
    return Scene(reduced(luma, factor), reduced(pair.thermal, factor) * 255, valid), factor
