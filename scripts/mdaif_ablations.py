"""Compare MdaIF networks that were trained with one part varied, or on one weather, on the degraded
test set.

RUNS holds a folder per `fusion train --model mdaif --ablation NAME` or `--kind NAME`, named after
the case.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from restoring import GROUPS, fusing, scenes, score

from fusion_core.engine import Engine
from fusion_core.models import load_model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the recordings")
    parser.add_argument("--runs", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--every", type=int, default=4, help="use every n-th pair of the test set")
    options = parser.parse_args()
    methods = {
        weights.parent.name: fusing(Engine(load_model(str(weights)), None), told=True)
        for weights in sorted(options.runs.glob("*/weights.safetensors"))
    }
    scores: dict[str, dict[str, list[tuple[float, ...]]]] = {name: {} for name in methods}
    for scene in scenes(options.data, options.every):
        for name, fuse in methods.items():
            entry = score(fuse(scene.degraded, scene.thermal, scene.prior), scene)
            scores[name].setdefault(scene.group, []).append(entry)
    for index, metric in enumerate(("PSNR dB", "SSIM sum")):
        print(f"\n| {metric} | {' | '.join(GROUPS)} |\n|---{'|---' * len(GROUPS)}|")
        for name, groups in scores.items():
            means = (np.mean([entry[index] for entry in groups[group]]) for group in GROUPS)
            print(f"| {name} | {' | '.join(f'{mean:.3f}' for mean in means)} |")


if __name__ == "__main__":
    main()
