"""Ways around the parts of CtrlFuse: mask, prompts and what is in them, segmenter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fusion_core.models import CtrlFuse, Cues
from fusion_core.models.blocks import Objects, Prompts
from fusion_core.models.segmenters import ShapeSegmenter
from fusion_core.types import UInt8Image
from fusion_lab.benches.ctrlfuse.data import SETS, MaskedPair, read_masked, spread_evenly
from fusion_lab.benches.ctrlfuse.effects import PromptedFusion, effect_on
from fusion_lab.benches.mechanisms.bypass import Bypass, Made, Sample, System, replaced
from fusion_lab.training.prompting.corruption import boxed


def _read(data: Path, limit: int) -> list[Sample]:
    """Read pairs with people, of all sets in equal numbers, marked by their masks and by boxes."""
    count = -(-limit // len(SETS))
    pairs = [p for name in SETS for p in spread_evenly(read_masked(data / name), count)]
    return [sample_of(pair, boxes=boxes) for boxes in (False, True) for pair in pairs[:limit]]


def sample_of(pair: MaskedPair, *, boxes: bool = False) -> Sample:
    """Return a pair whose people are marked, by their boxes or masks; these are the reference."""
    planes = torch.from_numpy(pair.planes[..., :2]).permute(2, 0, 1).float()[None] / 255
    target = pair.target()
    mask = torch.from_numpy(boxed(target) if boxes else target).float()[None, None]
    kind = "boxes" if boxes else "masks"
    return Sample(planes[:, :1], planes[:, 1:], Cues(mask=mask), target, kind)


def _run(network: CtrlFuse, sample: Sample, cues: Cues) -> Made:
    """Fuse, and score what the target gains, and what of it is lost to its surround."""
    output = network.forward_luma(sample.thermal, sample.visible, cues)
    reference = output.fused if output.reference is None else output.reference
    fused = output.fused[0, 0]
    assert sample.cues.mask is not None, "samples have masks"
    made = PromptedFusion(fused.numpy(), reference[0, 0].numpy(), sample.reference)
    given = sample.cues.mask[0, 0].numpy().astype(np.uint8)
    return Made(fused, 100 * _gained(made, sample.reference, given))


def _gained(made: PromptedFusion, target: UInt8Image, given: UInt8Image) -> float:
    """Return the contrast that a target gains less the change around it, over its contrast."""
    effect = effect_on(made, target, given)
    return effect.contrast - 1 - effect.around


Change = Callable[[Prompts, Prompts], Prompts]
"""Makes prompts from a sample's own and another's."""


@contextmanager
def _changed_prompts(
    network: CtrlFuse, run_other: Callable[[], object], change: Change
) -> Iterator[None]:
    """Let the prompts be what is made of them and those of another sample."""
    others: list[Prompts] = []
    with replaced([network.encoder], lambda _module, _inputs, output: others.append(output)):
        run_other()
    with replaced([network.encoder], lambda _m, _i, own: change(own, others[0])):
        yield


def _nothing(own: Prompts, _other: Prompts) -> Prompts:
    """Return prompts of as many objects that say nothing, not even where."""
    objects, exact = _told(own)
    said = objects._replace(
        areas=torch.zeros_like(objects.areas),
        shapes=torch.zeros_like(objects.shapes),
        levels=torch.zeros_like(objects.levels),
        features=torch.zeros_like(objects.features),
    )
    return Prompts(torch.zeros_like(own.tokens), own.areas, said, torch.zeros_like(exact))


def _elsewhere(own: Prompts, other: Prompts) -> Prompts:
    """Return the prompts of another picture, whose places are brought to this one's size."""
    size = _told(own)[1].shape[-2:]
    return other._replace(exact=F.interpolate(_told(other)[1], size=size, mode="area"))


def _unread(own: Prompts, _other: Prompts) -> Prompts:
    """Return prompts that the segmenter understands and the fusion does not."""
    return own._replace(tokens=torch.zeros_like(own.tokens))


def _mistaken(own: Prompts, other: Prompts) -> Prompts:
    """Return prompts that mark the same places, but tell of another picture's objects."""
    objects, others = _told(own)[0], _told(other)[0]
    chosen = torch.arange(len(objects.picture)) % len(others.picture)
    told = objects._replace(levels=others.levels[chosen], features=others.features[chosen])
    pairs = torch.stack([1 + 2 * chosen, 2 + 2 * chosen], 1).flatten()
    tokens = torch.cat([own.tokens[:, :, :1], other.tokens[:, :, pairs]], 2)
    return own._replace(tokens=tokens, objects=told)


def _shapeless(own: Prompts, _other: Prompts) -> Prompts:
    """Return prompts that tell of no shape but the rectangle that holds it."""
    objects, exact = _told(own)
    shapes = [torch.from_numpy(boxed(_marked(one))).to(one) for one in objects.shapes[:, 0]]
    whole = torch.from_numpy(boxed(_marked(exact[0, 0]))).to(exact)
    return own._replace(
        objects=objects._replace(shapes=torch.stack(shapes)[:, None]), exact=whole[None, None]
    )


def _told(prompts: Prompts) -> tuple[Objects, Tensor]:
    """Return what prompts tell of objects, and what is marked exactly."""
    assert prompts.objects is not None, "prompts are of objects"
    assert prompts.exact is not None, "prompts of objects tell of shapes as well"
    return prompts.objects, prompts.exact


def _marked(shape: Tensor) -> UInt8Image:
    return np.asarray(shape.numpy() > 0, np.uint8)


def _changed(change: Change) -> Callable[..., Any]:
    return lambda network, run_other, _rng: _changed_prompts(network, run_other, change)


def _shape_itself(network: CtrlFuse, *_: object) -> AbstractContextManager[None]:
    """Let the shape that the prompts tell stand for what the segmenter finds."""
    itself = ShapeSegmenter()

    def told(_module: nn.Module, inputs: Any, _output: Tensor) -> Tensor:  # noqa: ANN401
        found: Tensor = itself(*inputs)
        return found

    assert isinstance(network.segmenter, nn.Module), "this network has no segmenter to pass by"
    return replaced([network.segmenter], told)


def _mask_of(cues: Cues, other: Cues, *_: object) -> Cues:
    assert cues.mask is not None
    assert other.mask is not None
    size = cues.mask.shape[-2:]
    return replace(cues, mask=F.interpolate(other.mask, size=size, mode="nearest"))


SYSTEM = System(
    CtrlFuse,
    "gain of contrast, %",
    _read,
    _run,
    (
        Bypass("mask", "none", cues=lambda cues, *_: replace(cues, mask=None)),
        Bypass("mask", "another picture's", cues=_mask_of, random=True),
        Bypass("prompts", "zero", hold=_changed(_nothing)),
        Bypass("prompts", "another picture's", hold=_changed(_elsewhere), random=True),
        Bypass("prompts: what", "another picture's", hold=_changed(_mistaken), random=True),
        Bypass("prompts: shape", "its rectangle", hold=_changed(_shapeless)),
        Bypass("prompts read by the fusion", "zero", hold=_changed(_unread)),
        Bypass("segmenter", "the prompts' shape", hold=_shape_itself),
    ),
)
