"""Mean and variance of every channel of feature maps."""

from __future__ import annotations

import torch
from torch import Tensor


def channel_moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and variance over the pixels of ``BxCxHxW``, ``BxC`` float32 each."""
    if runs_alone(x):
        mean, variance = _one_pass(x)
        return mean[None], variance[None]
    # Two means do; torch's own instance_norm takes over ten times as long on channels-last maps.
    full = x.float()
    mean = full.mean((2, 3))
    return mean, ((full * full).mean((2, 3)) - mean * mean).clamp_min(0)


def channel_means(x: Tensor) -> Tensor:
    """Return the mean over the pixels of ``BxCxHxW``, ``BxC``."""
    return _one_pass(x)[0][None] if runs_alone(x) else x.mean((2, 3))


def runs_alone(x: Tensor) -> bool:
    """Return whether maps are those of one picture that a processor fuses, learning nothing.

    Then there are shorter ways to the same numbers, which have no gradient and are no part of an
    exported graph.
    """
    learns = torch.is_grad_enabled()
    return (
        len(x) == 1 and x.device.type == "cpu" and not learns and not torch.compiler.is_compiling()
    )


def _one_pass(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``C`` means and variances of ``1xCxHxW``."""
    # Statistics kept in float32 make those that are returned float32 as well.
    mean, variance = torch.zeros(2, x.shape[1])
    moments: tuple[Tensor, Tensor] = torch.batch_norm_update_stats(x, mean, variance, 1.0)
    return moments
