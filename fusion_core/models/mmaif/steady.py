"""What does not change from frame to frame of a stream, although it is found in each of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

from fusion_core.models.mmaif.measuring import Measured
from fusion_core.models.mmaif.transformer import Latent
from fusion_core.models.stream import StreamState

_DIAGNOSIS_S: Final = 0.7
"""Degradations come and go with the scene; a wish is to act on a new one within about a second."""
_LEVELS_S, _TOKENS_S = 0.7, 0.7
_SURE: Final = 7.0  # log odds beyond which certainty only delays a change
_MOTION: Final = 10 / 255  # change of a place's mean luma that is motion


def steady_measures(measured: Sequence[Measured], stream: StreamState) -> list[Measured]:
    """Return measures whose noise and levels of the whole pictures move slowly."""
    return [
        part._replace(
            noise=stream.averaged(f"noise {number}", part.noise, _LEVELS_S),
            levels=stream.averaged(f"levels {number}", part.levels, _LEVELS_S),
        )
        for number, part in enumerate(measured)
    ]


def steady_diagnosis(shown: Tensor, stream: StreamState) -> Tensor:
    """Return logits ``NxBxK`` of a scene, of those that single frames show.

    What degrades is a property of the scene; odds of one frame vary with its noise and its
    compression.
    """
    return stream.averaged("diagnosis", shown.clamp(-_SURE, _SURE), _DIAGNOSIS_S)


def steady_latent(latent: Latent, measured: Sequence[Measured], stream: StreamState) -> Latent:
    """Return latent and tokens that stand still where the pictures do.

    They steer tones per place of 32 pixels, so that whole regions would change with them.

    Args:
        latent: What the transformer made of a frame.
        measured: Of its pictures.
        stream: The frames before.
    """
    height, width = latent.made.shape[-2:]
    means = torch.cat(
        [F.adaptive_avg_pool2d(part.evidence[:, :1], (height, width)) for part in measured], 1
    )
    change = (means - stream.before("means", means)).abs().amax(1, keepdim=True)
    moved = (F.max_pool2d(change, 3, 1, 1) / _MOTION).clamp_max(1)
    still = (1 - moved).square() * (1 + 2 * moved)
    made, hidden = (
        stream.averaged(name, part.float(), _TOKENS_S, still)
        for name, part in (("made", latent.made), ("hidden", latent.hidden))
    )
    return latent._replace(made=made, hidden=hidden)
