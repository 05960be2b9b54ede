"""Likelihood of block displacements, from similarity volumes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fusion_core.registration.volumes import SimilarityVolumes, Vectors

_SHARPNESS = 12.0  # log-likelihood per unit of correlation


@dataclass(frozen=True, eq=False)
class LikelihoodModel:
    """Quadratic model of the blocks' log-likelihood around the present displacements.

    Attributes:
        gradient: ``Nx2``, per pixel.
        precision: ``Nx2x2`` positive semidefinite, per pixel squared; zero for a flat block, and
            along a straight edge zero in the edge's direction.
    """

    gradient: Vectors
    precision: Vectors


def log_likelihood(volumes: SimilarityVolumes, spread: float) -> float:
    """Return the log-likelihood that all blocks are in place, relative to flat blocks.

    It is that of ``likelihood_model`` at zero displacement; a flat block contributes 0.
    """
    near = -(volumes.shifts**2).sum(axis=1) / (2 * spread**2)
    weight = np.exp(np.float64(_SHARPNESS) * volumes.scores + near)
    found = np.log(weight.sum(axis=1) / np.exp(near).sum())
    return float(found[volumes.seen].sum())


def likelihood_model(volumes: SimilarityVolumes, at: Vectors, spread: float) -> LikelihoodModel:
    """Return gradient and curvature of ``log sum_d exp(k score(d) - |d - at|^2 / 2 spread^2)``.

    The sum over displacements smooths the likelihood over ``spread`` pixels, which widens its
    basin of convergence as much; its derivatives follow from mean and covariance of the
    displacement under the weights in the sum.
    """
    x, y = volumes.shifts.T
    moments = np.stack((np.ones_like(x), x, y, x * x, x * y, y * y), axis=1)
    # |d - at|^2 without the term that is the same for every d
    near = (volumes.shifts**2).sum(axis=1) - 2 * at @ volumes.shifts.T
    weight = np.float64(_SHARPNESS) * volumes.scores - near / (2 * spread**2)
    weight = np.exp(weight - weight.max(axis=1, keepdims=True))
    found = weight @ moments
    found = found[:, 1:] / found[:, :1]
    place, second = found[:, :2], found[:, [[2, 3], [3, 4]]]
    covariance = second - place[:, :, None] * place[:, None]
    mean = place - at
    precision = (np.eye(2) - covariance / spread**2) / spread**2
    values, vectors = np.linalg.eigh(precision)
    values = np.clip(values, 0, None) * volumes.seen[:, None]
    precision = np.einsum("nij,nj,nkj->nik", vectors, values, vectors)
    return LikelihoodModel(mean / spread**2 * volumes.seen[:, None], precision)
