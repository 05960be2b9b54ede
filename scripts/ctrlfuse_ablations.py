"""Compare CtrlFuse networks that were trained with a part taken out, on the pictures of
`bench_ctrlfuse`: what a mask does, what is found, and the fusion without a mask.

RUNS holds a folder per `fusion train --model ctrlfuse --ablation NAME`, named after the case.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from bench_ctrlfuse import (
    PROMPTS,
    SETS,
    Effect,
    MaskedPair,
    effect,
    found_by,
    load_masked,
    some,
    target_of,
)

from fusion_core.models import Fuser, load_model
from fusion_core.types import FloatImage, UInt8Image
from fusion_lab.metrics import compute_all

SHOWN = ("true", "boxes")
QUALITY = ("MI", "SCD", "VIF", "Qabf", "SSIM")


def with_mask(model: Fuser, pairs: list[MaskedPair]) -> list[str]:
    """Return the cells of a row per kind of prompt: its effect, mean over the pictures."""
    rows = []
    for label in SHOWN:
        effects = [found for pair in pairs if (found := effect(model, pair, PROMPTS[label]))]
        mean = {
            key: np.mean([getattr(entry, key) for entry in effects])
            for key in Effect.__dataclass_fields__
        }
        rows.append(
            f"{label} | {mean['contrast'] - 1:+.1%} | {mean['gradient'] - 1:+.1%}"
            f" | {mean['outside']:.2%} | {mean['given']:.3f} | {mean['found']:.3f}"
        )
    return rows


def without_mask(model: Fuser, pairs: list[MaskedPair]) -> str:
    """Return the cells of the reference fusion's quality, mean over the pictures."""
    scores = []
    for pair in pairs:
        reference = found_by(model, pair, target_of(pair, 0))[2]
        thermal, visible = (np.ascontiguousarray(pair.planes[..., plane]) for plane in (0, 1))
        scores.append(compute_all(pixels(reference), (thermal, visible), QUALITY))
    return " | ".join(f"{np.mean([score[name] for score in scores]):.3f}" for name in QUALITY)


def pixels(image: FloatImage) -> UInt8Image:
    """Return [0, 1] as 0..255."""
    return np.rint(255 * image).clip(0, 255).astype(np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the recordings")
    parser.add_argument("--runs", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--limit", type=int, default=8, help="pictures per set")
    options = parser.parse_args()
    pairs = [
        pair for name in SETS for pair in some(load_masked(options.data / name), options.limit)
    ]
    print("| case | prompt | contrast | gradient | outside | IoU of the prompt | IoU found |")
    print("|---|---|---|---|---|---|---|")
    quality = []
    for weights in sorted(options.runs.glob("*/weights.safetensors")):
        model, case = load_model(str(weights)), weights.parent.name
        for row in with_mask(model, pairs):
            print(f"| {case} | {row} |", flush=True)
        quality.append(f"| {case} | {without_mask(model, pairs)} |")
    print(f"\n| case | {' | '.join(QUALITY)} |")
    print("|---" * (len(QUALITY) + 1) + "|")
    print("\n".join(quality))


if __name__ == "__main__":
    main()
