"""Ways around the parts of CtrlFuse: prompts, segmenter, mask."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fusion_core.models import CtrlFuse, Cues
from fusion_core.models.segmenters import PassThroughSegmenter
from fusion_lab.benches.ctrlfuse.data import SETS, MaskedPair, read_masked, spread_evenly
from fusion_lab.benches.ctrlfuse.effects import PromptedFusion, effect_on
from fusion_lab.benches.mechanisms.bypass import Bypass, Made, Sample, System, replaced, replayed


def _read(data: Path, limit: int) -> list[Sample]:
    """Read pairs with people, of all sets in equal numbers."""
    count = -(-limit // len(SETS))
    pairs = [p for name in SETS for p in spread_evenly(read_masked(data / name), count)]
    return [sample_of(pair) for pair in pairs[:limit]]


def sample_of(pair: MaskedPair) -> Sample:
    """Return a pair whose people are marked; they are the reference."""
    planes = torch.from_numpy(pair.planes[..., :2]).permute(2, 0, 1).float()[None] / 255
    target = pair.target()
    cues = Cues(mask=torch.from_numpy(target).float()[None, None])
    return Sample(planes[:, :1], planes[:, 1:], cues, target)


def _run(network: CtrlFuse, sample: Sample, cues: Cues) -> Made:
    """Fuse, and score the contrast of the target relative to the fusion without a mask."""
    output = network.forward_luma(sample.thermal, sample.visible, cues)
    reference = output.fused if output.reference is None else output.reference
    fused = output.fused[0, 0]
    made = PromptedFusion(fused.numpy(), reference[0, 0].numpy(), sample.reference)
    effect = effect_on(made, sample.reference, sample.reference)
    return Made(fused, 100 * (effect.contrast - 1))


def _mask_itself(network: CtrlFuse, *_: object) -> AbstractContextManager[None]:
    """Let what is marked stand for what the segmenter finds."""
    itself = PassThroughSegmenter(network.config.dim, network.config.down)

    def marked(_module: nn.Module, inputs: Any, _output: Tensor) -> Tensor:  # noqa: ANN401
        return itself(*inputs)

    assert isinstance(network.segmenter, nn.Module), "this network has no segmenter to pass by"
    return replaced([network.segmenter], marked)


def _no_prompts(network: CtrlFuse, *_: object) -> AbstractContextManager[None]:
    return replaced(network.encoders, lambda _module, _inputs, output: torch.zeros_like(output))


def _mask_of(cues: Cues, other: Cues, *_: object) -> Cues:
    assert cues.mask is not None
    assert other.mask is not None
    size = cues.mask.shape[-2:]
    return replace(cues, mask=F.interpolate(other.mask, size=size, mode="nearest"))


SYSTEM = System(
    CtrlFuse,
    "contrast of the target, %",
    _read,
    _run,
    (
        Bypass("mask", "none", cues=lambda cues, *_: replace(cues, mask=None)),
        Bypass("mask", "another picture's", cues=_mask_of, random=True),
        Bypass("prompts", "zero", hold=_no_prompts),
        Bypass(
            "prompts",
            "another picture's",
            hold=lambda net, run_other, _: replayed(list(net.encoders), run_other),
            random=True,
        ),
        Bypass("segmenter", "the mask itself", hold=_mask_itself),
    ),
)
