"""Fusion networks run on their own, without a pipeline."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from fusion_core.engine import Engine
from fusion_core.models import NO_CUES, Cues, Fuser, LumaOutput
from fusion_core.types import AlignedPair, FloatImage, ScenePrior, UInt8Image

FusePair = Callable[[AlignedPair, ScenePrior | None], UInt8Image]
"""Returns ``HxWx3`` uint8 RGB for a pair under a scene prior."""


@torch.inference_mode()
def fuse_luma(model: Fuser, thermal: Tensor, luma: Tensor, cues: Cues = NO_CUES) -> LumaOutput:
    """Run a network on ``Bx1xHxW`` thermal and visible luma in [0, 1], its bank as trained."""
    network = model.luma_path
    assert network is not None, "only networks that fuse luma are measured on it"
    return network.forward_luma(thermal, luma, cues)


def pair_fuser(model: Fuser, *, with_prior: bool) -> FusePair:
    """Return a network as a function of pairs; every call stands alone.

    Args:
        model: The network.
        with_prior: Pass the scene prior on.
    """
    engine = Engine(model, None)
    return lambda pair, prior: engine.fuse(pair, prior if with_prior else None).image


def mask_fuser(model: Fuser) -> Callable[[AlignedPair, FloatImage | None], UInt8Image]:
    """Return a network as a function of pairs and masks."""
    engine = Engine(model, None)
    return lambda pair, mask: engine.fuse(pair, mask=mask).image
