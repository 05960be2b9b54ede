"""Measurement of the misalignment that rests on more than one frame where one does not suffice."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from fusion_core.registration.confidence import judge, trust
from fusion_core.registration.parametric import IDENTITY, WIDE, Level, Scene, climb, estimate
from fusion_core.registration.projective import (
    jacobian,
    mapped,
    rescaled,
    to_matrix,
    to_parameters,
)
from fusion_core.registration.pyramid import reduced_size
from fusion_core.registration.rig import Matrix
from fusion_core.registration.tracking import Change
from fusion_core.registration.volumes import Vectors, Volumes, moved

# How far a calibration goes wrong: shift, linear and projective part, relative to half the width.
EXPECTED: Final = np.array([0.06, 0.06, 0.0025, 0.0025, 0.0025, 0.0025, 0.0006, 0.0006])
_COARSE: Final = Level(4, 5, 8, (4, 3, 2, 1.5, 1))
_FINE: Final = Level(2, 3, 8, (2, 1.5, 1, 1))
_LEAST_SHARE = 0.2  # of a new frame in the evidence; more, the clearer the frame is by itself


@dataclass(frozen=True, eq=False)
class Measurement:
    """Where the thermal picture belongs.

    Attributes:
        matrix: 3x3 on the visible grid, the whole correction of the rig.
        confidence: Trust in it in [0, 1].
    """

    matrix: Matrix
    confidence: float


class Evidence:
    """Similarity volumes of one camera pair, averaged over the frames seen.

    In smoke or at night one frame says too little. What is in the picture and what hides it change
    from frame to frame, the misalignment hardly does: so the average says more. Where it is known
    that the cameras have moved against each other, ``carry`` moves what has been seen along.
    """

    def __init__(self) -> None:
        self._applied: Matrix = np.eye(3)
        self._volumes: dict[Level, Volumes] = {}

    def carry(self, change: Change) -> None:
        """Count what has been seen so far as if the cameras had always stood as they do now."""
        self._applied = change.carried(self._applied)

    def measure(self, scene: Scene, applied: Matrix) -> Measurement:
        """Take in a frame that was aligned with ``applied`` and measure with all frames so far."""
        coarse = scene.volumes(IDENTITY, _COARSE)
        fine = scene.volumes(IDENTITY, _FINE)
        begin = to_parameters(applied, scene.size)
        alone, _ = _climbed(scene, {_COARSE: coarse}, begin)
        share = max(_LEAST_SHARE, judge(coarse, _displacements(coarse, alone, scene, _COARSE)))
        self._absorb(_COARSE, coarse, applied, share)
        self._absorb(_FINE, fine, applied, share)
        self._applied = applied
        step, at = _climbed(scene, self._volumes, begin)
        return Measurement(applied @ to_matrix(step, scene.size), judge(self._volumes[_COARSE], at))

    def _absorb(self, level: Level, volumes: Volumes, applied: Matrix, share: float) -> None:
        """Average a frame's volumes with those before, counted from another alignment."""
        before = self._volumes.get(level)
        if before is None:
            self._volumes[level] = volumes
            return
        old, new = (rescaled(matrix, 1 / level.factor) for matrix in (self._applied, applied))
        way = mapped(new, volumes.centres) - mapped(old, volumes.centres)
        known = moved(before, way)
        scores = known + np.float32(share) * (volumes.scores - known)
        scores = np.where(before.seen[:, None], scores, volumes.scores)
        scores = np.where(volumes.seen[:, None], scores, known)
        self._volumes[level] = replace(
            volumes, scores=scores.astype(np.float32), seen=before.seen | volumes.seen
        )


def search(scene: Scene, applied: Matrix) -> Measurement:
    """Look further around, in one frame alone."""
    step = estimate(scene, IDENTITY, WIDE, EXPECTED, vote=True, applied=applied)
    return Measurement(applied @ step, trust(scene, step))


def _climbed(
    scene: Scene, volumes: dict[Level, Volumes], before: Vectors
) -> tuple[Vectors, Vectors]:
    """Return the parameters of the step from ``before``, and the coarse blocks' displacements."""
    step = np.zeros(8)
    for level, compared in volumes.items():
        size = reduced_size(scene.size, level.factor)
        way = _displacements(compared, step, scene, level)
        if np.abs(way).max() < level.reach - 1:
            step = climb(compared, size, before, step, EXPECTED, level.spreads)
    coarse = volumes[_COARSE]
    return step, _displacements(coarse, step, scene, _COARSE)


def _displacements(volumes: Volumes, step: Vectors, scene: Scene, level: Level) -> Vectors:
    """Return where the step moves the blocks, ``Nx2`` in reduced pixels."""
    lever = jacobian(volumes.centres, reduced_size(scene.size, level.factor))
    return np.asarray(lever @ step)
