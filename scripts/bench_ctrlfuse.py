"""Measure what a mask does to the fused picture, on pictures that CtrlFuse was not trained on.

Parts: `prompts` (contrast, gradient and change outside the mask, and the overlap of what the
segmenter finds, for true, spoiled and automatic masks), `classes` (overlap per class),
`cost` (per frame, beside m2pn-edge), `pictures` (the images of docs/ctrlfuse.md).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from fusion_core.engine import Engine
from fusion_core.masks import hot_regions
from fusion_core.models import Cues, LumaFuser, load_model
from fusion_core.types import AlignedPair, FloatImage, UInt8Image
from fusion_lab.data import Example, Needs, read_examples
from fusion_lab.training.losses import sobel_magnitude
from fusion_lab.training.prompting.batches import prompt_planes
from fusion_lab.training.prompting.corruption import boxed, dilated, eroded, partial
from fusion_lab.training.prompting.loss import full_size

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
SETS = ("msrs", "llvip", "video/0117_1620")
# Pixels: the surround starts and ends so far from the target; outside starts beyond the first.
_NEAR, _FAR = 8, 24
# Wider pictures are halved: these cameras see 640 pixels.
_WIDTH = 800
_KINDS = ("person", "box", "hot")

Spoil = Callable[[UInt8Image, FloatImage], UInt8Image]
PROMPTS: Mapping[str, Spoil] = {
    "true": lambda mask, _: mask,
    "eroded 3 px": lambda mask, _: eroded(mask, 3),
    "dilated 3 px": lambda mask, _: dilated(mask, 3),
    "dilated 8 px": lambda mask, _: dilated(mask, 8),
    "boxes": lambda mask, _: boxed(mask),
    "half of the objects": lambda mask, _: partial(mask, 0.5, np.random.default_rng(0)),
    "hot regions": lambda _, thermal: hot_regions(thermal).astype(np.uint8),
}


@dataclass(frozen=True)
class MaskedPair:
    """One labelled pair, and its planes as `prompt_planes` returns them, perhaps smaller."""

    example: Example
    planes: UInt8Image


def load_masked(folder: Path) -> list[MaskedPair]:
    """Return the labelled pairs of a set with their masks."""
    examples = read_examples([folder], needs=Needs(labels=True, mask=True))
    return [MaskedPair(example, prompt_planes(example)) for example in examples]


@dataclass(frozen=True)
class Effect:
    """What a mask did to one picture; ratios to the fusion without a mask.

    Attributes:
        contrast: RMS difference of the target's pixels to the mean of its surround.
        gradient: Mean Sobel magnitude in the target.
        outside: Mean absolute change beyond 8 px from target and prompt, over the mean there.
        given: IoU of the prompt with the target.
        found: IoU of what the segmenter found with the target.
    """

    contrast: float
    gradient: float
    outside: float
    given: float
    found: float


def prompts(data: Path, limit: int) -> None:
    """Print the effect of every kind of prompt, per set."""
    model = load_model("ctrlfuse")
    for name in SETS:
        pairs = some(load_masked(data / name), limit)
        print(f"\n{name}: {len(pairs)} pictures with persons")
        print("| prompt | contrast | gradient | outside | IoU of the prompt | IoU found |")
        print("|---|---|---|---|---|---|")
        for label, spoil in PROMPTS.items():
            effects = [found for pair in pairs if (found := effect(model, pair, spoil))]
            mean = {
                key: np.mean([getattr(entry, key) for entry in effects])
                for key in Effect.__dataclass_fields__
            }
            print(
                f"| {label} | {mean['contrast'] - 1:+.1%} | {mean['gradient'] - 1:+.1%}"
                f" | {mean['outside']:.2%} | {mean['given']:.3f} | {mean['found']:.3f} |"
            )


def classes(data: Path, limit: int) -> None:
    """Print the overlap of prompt and result with what was meant, per class and set."""
    model = load_model("ctrlfuse")
    print("| set | class | pictures | boxes as prompt | IoU found | IoU found, true mask |")
    print("|---|---|---|---|---|---|")
    for name in SETS:
        for index, kind in enumerate(_KINDS):
            pairs = some(load_masked(data / name), limit, index)
            if not pairs:
                continue
            rows = []
            for pair in pairs:
                target = target_of(pair, index)
                box = boxed(target)
                overlaps = [iou(found_by(model, pair, mask)[1], target) for mask in (box, target)]
                rows.append((iou(box, target), *overlaps))
            values = " | ".join(f"{value:.3f}" for value in np.mean(rows, 0))
            print(f"| {name} | {kind} | {len(rows)} | {values} |")


def cost(data: Path, limit: int) -> None:  # noqa: ARG001
    """Print milliseconds per 640x480 frame in the network, in turns."""
    thermal, visible = (torch.rand(1, 1, 480, 640) for _ in range(2))
    mask = torch.zeros(1, 1, 480, 640)
    mask[..., 180:300, 250:300] = 1
    steered, plain = load_model("ctrlfuse"), load_model("m2pn-edge")
    cases = {
        "m2pn-edge": (plain, Cues()),
        "ctrlfuse, nothing marked": (steered, Cues()),
        "ctrlfuse, a person marked": (steered, Cues(mask=mask)),
    }
    times: dict[str, list[float]] = {label: [] for label in cases}
    with torch.inference_mode():
        for _ in range(30):
            for label, (model, cues) in cases.items():
                start = time.perf_counter()
                model.forward_luma(thermal, visible, cues)
                times[label].append((time.perf_counter() - start) * 1e3)
    print(f"threads: {torch.get_num_threads()}")
    for label, values in times.items():
        print(f"{label:28s} median {np.median(values):6.1f} ms   least {min(values):6.1f} ms")


def pictures(data: Path, limit: int) -> None:  # noqa: ARG001
    """Write the images of the docs: visible, thermal with the mask, without and with the mask."""
    engine = Engine(load_model("ctrlfuse"), None)
    for name, title, wanted in (
        ("video/0117_1620", "smoke", "0400"),
        ("msrs", "night", None),
    ):
        pairs = picked(load_masked(data / name), wanted)
        picture = np.vstack([np.hstack(list(tiles(engine, pair))) for pair in pairs])
        file = IMAGES / f"ctrlfuse_{title}.jpg"
        cv2.imwrite(str(file), picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
        print(file)


def picked(pairs: list[MaskedPair], stem: str | None) -> list[MaskedPair]:
    """Return the pair of a stem, or the two night pictures with most persons in them."""
    if stem:
        return [pair for pair in pairs if pair.example.name == stem]
    night = [pair for pair in pairs if pair.example.name.endswith("N")]
    return sorted(night, key=lambda pair: -int((pair.planes[..., 3] > 0).sum()))[:2]


def tiles(engine: Engine, pair: MaskedPair) -> Iterator[UInt8Image]:
    """Yield visible, thermal with the mask's outline, reference fusion, prompted fusion."""
    visible = pair.example.first
    thermal = pair.planes[..., 0].astype(np.float32) / np.float32(255)
    mask = target_of(pair, 0)
    view = around(mask)
    yield view(visible)
    outlined = cv2.cvtColor(pair.planes[..., 0], cv2.COLOR_GRAY2RGB)
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    yield view(cv2.drawContours(outlined, outlines, -1, (255, 210, 0), 1))
    aligned = AlignedPair(0, visible, thermal, np.ones(mask.shape, bool))
    yield view(engine.fuse(aligned).image)
    yield view(engine.fuse(aligned, mask=mask.astype(np.float32)).image)


def around(mask: UInt8Image) -> Callable[[UInt8Image], UInt8Image]:
    """Return what shows the part of a picture around the target, as 360x360."""
    x, y, width, height = cv2.boundingRect(mask)
    edge = min(max(width, height) + 60, *mask.shape)
    left, top = (
        int(np.clip(start + size // 2 - edge // 2, 0, whole - edge))
        for start, size, whole in ((x, width, mask.shape[1]), (y, height, mask.shape[0]))
    )
    return lambda image: np.asarray(
        cv2.resize(
            image[top : top + edge, left : left + edge], (360, 360), interpolation=cv2.INTER_AREA
        )
    )


def effect(model: LumaFuser, pair: MaskedPair, spoil: Spoil) -> Effect | None:
    """Return what a prompt does to a pair; None where the prompt is empty."""
    target = target_of(pair, 0)
    thermal = pair.planes[..., 0].astype(np.float32) / np.float32(255)
    prompt = spoil(target, thermal)
    if not prompt.any():
        return None
    fused, found, reference = found_by(model, pair, prompt)
    near = dilated(target, _NEAR) > 0
    surround = (dilated(target, _FAR) > 0) & ~near
    inside, beyond = target > 0, ~near & ~(dilated(prompt, _NEAR) > 0)
    before, after = (
        (rms(image, inside, surround), edges(image)[inside].mean()) for image in (reference, fused)
    )
    change = np.abs(fused - reference)[beyond].mean() / reference[beyond].mean()
    return Effect(
        after[0] / before[0], after[1] / before[1], change, iou(prompt, target), iou(found, target)
    )


@torch.inference_mode()
def found_by(
    model: LumaFuser, pair: MaskedPair, prompt: UInt8Image
) -> tuple[FloatImage, UInt8Image, FloatImage]:
    """Return the fused luma, what the segmenter found, and the fusion without a mask."""
    planes = torch.from_numpy(pair.planes[..., :2]).permute(2, 0, 1).float()[None] / 255
    mask = torch.from_numpy(prompt.astype(np.float32))[None, None]
    output = model.forward_luma(planes[:, :1], planes[:, 1:], Cues(mask=mask))
    found = (full_size(output.logits, prompt.shape).mean(1)[0] > 0).numpy().astype(np.uint8)
    return output.fused[0, 0].numpy(), found, output.reference[0, 0].numpy()


def target_of(pair: MaskedPair, kind: int) -> UInt8Image:
    return (pair.planes[..., 3 + kind] > 127).astype(np.uint8)


def some(pairs: list[MaskedPair], limit: int, kind: int = 0) -> list[MaskedPair]:
    """Return up to so many pairs with a target of a kind, spread evenly."""
    shown = [pair for pair in pairs if target_of(pair, kind).sum() > 100]
    chosen = np.linspace(0, len(shown) - 1, min(limit, len(shown))).astype(int)
    return [at_most(shown[index], _WIDTH) for index in chosen]


def at_most(pair: MaskedPair, width: int) -> MaskedPair:
    """Return a pair of half the size until it is no wider than this."""
    planes = pair.planes
    while planes.shape[1] > width:
        half = (planes.shape[1] // 2, planes.shape[0] // 2)
        parts = (planes[..., first : first + 3] for first in (0, 3))
        planes = np.dstack([cv2.resize(part, half, interpolation=cv2.INTER_AREA) for part in parts])
    return MaskedPair(pair.example, planes)


def rms(image: FloatImage, inside: UInt8Image, surround: UInt8Image) -> float:
    return float(np.sqrt(((image[inside] - image[surround].mean()) ** 2).mean()))


def edges(image: FloatImage) -> FloatImage:
    return sobel_magnitude(torch.from_numpy(image)[None, None])[0, 0].numpy()


def iou(first: UInt8Image, second: UInt8Image) -> float:
    union = ((first > 0) | (second > 0)).sum()
    return float(((first > 0) & (second > 0)).sum() / union) if union else 1.0


PARTS = {"prompts": prompts, "classes": classes, "cost": cost, "pictures": pictures}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--data", type=Path, required=True, help="folder of the recordings")
    parser.add_argument("--limit", type=int, default=13, help="pictures per set")
    options = parser.parse_args()
    PARTS[options.part](options.data, options.limit)


if __name__ == "__main__":
    main()
