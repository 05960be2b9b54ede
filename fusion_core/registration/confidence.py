"""How far an alignment can be trusted, from the similarity of the aligned pictures."""

from __future__ import annotations

from typing import Final

import numpy as np

from fusion_core.registration.parametric import Level, Scene
from fusion_core.registration.rig import Matrix
from fusion_core.registration.volumes import Vectors, Volumes, moved

CHECK: Final = Level(4, 6, 8, ())
_NEAR, _FAR = 1.5, 2.9  # in reduced pixels
# Logistic regression on alignments of known error; see docs/registration.md
_OFFSET, _SHARE_GAIN, _PEAK_GAIN = -5.96, 7.24, 0.864
_FEWEST_BLOCKS = 24


def trust(scene: Scene, matrix: Matrix) -> float:
    """Return the confidence in [0, 1] that ``matrix`` aligns the scene."""
    volumes = scene.volumes(matrix, CHECK)
    return judge(volumes, np.zeros_like(volumes.centres))


def judge(volumes: Volumes, at: Vectors) -> float:
    """Return the confidence in [0, 1] in block displacements ``Nx2``.

    It rests on two findings: the share of blocks that fit better in place than anywhere else
    around, and the height of the similarity of all blocks in place over its values around, in
    their standard deviations.
    """
    if volumes.seen.sum() < _FEWEST_BLOCKS:
        return 0.0
    distance = np.linalg.norm(volumes.shifts, axis=1)
    near, far = distance <= _NEAR, distance > _FAR
    scores = moved(volumes, at)[volumes.seen]
    share = float((scores[:, near].max(axis=1) > scores[:, far].max(axis=1)).mean())
    total = scores.mean(axis=0)
    peak = float((total[near].max() - total[far].mean()) / (total[far].std() + 1e-6))
    return float(1 / (1 + np.exp(-(_OFFSET + _SHARE_GAIN * share + _PEAK_GAIN * peak))))
