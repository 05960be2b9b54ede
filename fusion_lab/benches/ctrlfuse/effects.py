"""What a mask does to one picture, and its mean over many."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray

from fusion_core.masks import hot_regions
from fusion_core.models import Cues, Fuser
from fusion_core.types import FloatImage, Mask, UInt8Image
from fusion_lab.benches.ctrlfuse.data import MaskedPair
from fusion_lab.benches.networks import fuse_luma
from fusion_lab.training.losses import sobel_magnitude
from fusion_lab.training.prompting.corruption import boxed, dilated, eroded, partial
from fusion_lab.training.prompting.loss import full_size

# Pixels: the surround starts and ends so far from the target; outside starts beyond the first.
_NEAR, _FAR = 8, 24

Prompt = Callable[[UInt8Image, FloatImage], UInt8Image]
"""Makes a mask ``HxW`` in {0, 1} from the target's, and from the thermal picture in [0, 1]."""

PROMPTS: Mapping[str, Prompt] = {
    "true": lambda mask, _: mask,
    "eroded 3 px": lambda mask, _: eroded(mask, 3),
    "dilated 3 px": lambda mask, _: dilated(mask, 3),
    "dilated 8 px": lambda mask, _: dilated(mask, 8),
    "boxes": lambda mask, _: boxed(mask),
    "half of the objects": lambda mask, _: partial(mask, 0.5, np.random.default_rng(0)),
    "hot regions": lambda _, thermal: hot_regions(thermal).astype(np.uint8),
}


@dataclass(frozen=True, slots=True)
class MaskEffect:
    """What a mask does to one picture, or to many on average.

    Attributes:
        contrast: RMS difference of the target's pixels to the mean of its surround, relative to
            the fusion without a mask.
        gradient: Mean Sobel magnitude in the target, relative to the same.
        around: Mean absolute change beside the target, in the prompt and up to 8 px away, over the
            target's contrast without the mask.
        outside: Mean absolute change beyond 8 px from target and prompt, over the mean there.
        prompt_iou: IoU of the prompt with the target.
        segmented_iou: IoU of what the segmenter made of the prompt with the target.
    """

    contrast: float
    gradient: float
    around: float
    outside: float
    prompt_iou: float
    segmented_iou: float

    @classmethod
    def mean(cls, effects: Iterable[MaskEffect]) -> MaskEffect:
        """Return the mean over pictures; nan without any."""
        collected = list(effects)
        columns = ([getattr(each, field.name) for each in collected] for field in fields(cls))
        return cls(*(float(np.mean(values)) if values else float("nan") for values in columns))

    def cells(self) -> tuple[str, ...]:
        """Return cells under ``EFFECT_HEAD``."""
        return (
            f"{self.contrast - 1:+.1%}",
            f"{self.gradient - 1:+.1%}",
            f"{self.around:.1%}",
            f"{self.outside:.2%}",
            f"{self.prompt_iou:.3f}",
            f"{self.segmented_iou:.3f}",
        )


EFFECT_HEAD = (
    "contrast",
    "gradient",
    "around",
    "outside",
    "IoU of the prompt",
    "IoU segmented",
)


@dataclass(frozen=True, slots=True)
class PromptedFusion:
    """What a network made of a pair and a prompt.

    Attributes:
        fused: ``HxW`` luma in [0, 1] with the prompt.
        reference: ``HxW`` luma in [0, 1] without.
        segmented: ``HxW`` in {0, 1}, what the segmenter made of the prompt.
    """

    fused: FloatImage
    reference: FloatImage
    segmented: UInt8Image


def fuse_prompted(model: Fuser, pair: MaskedPair, prompt: UInt8Image) -> PromptedFusion:
    """Fuse a pair with a prompt, ``HxW`` in {0, 1}."""
    planes = torch.from_numpy(pair.planes[..., :2]).permute(2, 0, 1).float()[None] / 255
    mask = torch.from_numpy(prompt.astype(np.float32))[None, None]
    output = fuse_luma(model, planes[:, :1], planes[:, 1:], Cues(mask=mask))
    assert output.logits is not None, "the network segments what a prompt means"
    assert output.reference is not None, "the network also fuses without the prompt"
    segmented = full_size(output.logits, prompt.shape).mean(1)[0] > 0
    return PromptedFusion(
        output.fused[0, 0].numpy(),
        output.reference[0, 0].numpy(),
        segmented.numpy().astype(np.uint8),
    )


def mask_effect(model: Fuser, pair: MaskedPair, make_prompt: Prompt) -> MaskEffect | None:
    """Return what a prompt for the persons of a pair does; None where the prompt is empty."""
    target = pair.target()
    prompt = make_prompt(target, pair.planes[..., 0].astype(np.float32) / np.float32(255))
    if not prompt.any():
        return None
    made = fuse_prompted(model, pair, prompt)
    return effect_on(made, target, prompt)


def effect_on(made: PromptedFusion, target: UInt8Image, prompt: UInt8Image) -> MaskEffect:
    """Compare a fusion with a prompt to the one without."""
    near = dilated(target, _NEAR) > 0
    surround = (dilated(target, _FAR) > 0) & ~near
    inside, beyond = target > 0, ~near & ~(dilated(prompt, _NEAR) > 0)
    beside = (near | (prompt > 0)) & ~inside
    before, after = (
        (_contrast(image, inside, surround), float(_edges(image)[inside].mean()))
        for image in (made.reference, made.fused)
    )
    change = np.abs(made.fused - made.reference)
    return MaskEffect(
        contrast=after[0] / before[0],
        gradient=after[1] / before[1],
        around=float(change[beside].mean() / before[0]),
        outside=float(change[beyond].mean() / made.reference[beyond].mean()),
        prompt_iou=iou(prompt, target),
        segmented_iou=iou(made.segmented, target),
    )


def mean_effect(model: Fuser, pairs: Iterable[MaskedPair], make_prompt: Prompt) -> MaskEffect:
    """Return the mean effect over the pairs where the prompt is not empty."""
    effects = (mask_effect(model, pair, make_prompt) for pair in pairs)
    return MaskEffect.mean(effect for effect in effects if effect is not None)


def iou(first: UInt8Image, second: UInt8Image) -> float:
    """Return intersection over union of two masks; 1 where both are empty."""
    union = ((first > 0) | (second > 0)).sum()
    return float(((first > 0) & (second > 0)).sum() / union) if union else 1.0


def _contrast(image: FloatImage, inside: Mask, surround: Mask) -> float:
    return float(np.sqrt(((image[inside] - image[surround].mean()) ** 2).mean()))


def _edges(image: FloatImage) -> NDArray[np.float32]:
    edges: NDArray[np.float32] = sobel_magnitude(torch.from_numpy(image)[None, None])[0, 0].numpy()
    return edges
