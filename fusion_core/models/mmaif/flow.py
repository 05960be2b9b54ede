"""A latent out of noise: rectified flow, followed by Euler steps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fusion_core.models.mmaif.config import MMAIFOptions
from fusion_core.models.mmaif.transformer import Asked, Latent, LatentTransformer


def noised(latent: Tensor, noise: Tensor, time: Tensor) -> Tensor:
    """Return ``(1 - t) z + t e`` for times ``B`` in [0, 1]."""
    share = time[:, None, None, None]
    return torch.lerp(latent, noise, share)


def sample(
    transformer: LatentTransformer,
    latents: Sequence[Tensor],
    evidence: Sequence[Tensor],
    asked: Asked,
    options: MMAIFOptions,
    *,
    unasked: Asked,
    generator: torch.Generator | None,
) -> Latent:
    """Follow the flow from noise to the fused latent, ``dz/dt = v`` from 1 to 0.

    Args:
        transformer: Gives the velocity ``e - z``.
        latents: ``BxCxhxw`` of the sources.
        evidence: What is measured on them.
        asked: What is wanted.
        options: Steps, and guidance; with 1 the text alone leads.
        unasked: The same without a text, from which guidance leads away.
        generator: Gives the noise.
    """
    like = latents[0]
    state = torch.randn(like.shape, generator=generator, device=like.device, dtype=torch.float32)
    steps = options.flow_steps
    found: Latent | None = None
    for step in range(steps):
        time = torch.full((len(like),), 1 - step / steps, device=like.device)
        found = transformer(latents, evidence, asked, state, time)
        velocity = found.made.float()
        if options.guidance > 1:
            free = transformer(latents, evidence, unasked, state, time).made.float()
            velocity = free + options.guidance * (velocity - free)
        state = state - velocity / steps
    assert found is not None, "there is at least one step"
    return found._replace(made=state)
