"""Compare MdaIF networks that were trained with one part varied, or on one weather, on the degraded
test set.

RUNS holds a folder per `fusion train --model mdaif --ablation NAME` or `--kind NAME`, named after
the case.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from restoring import compare, fusing

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
    compare(methods, options.data, options.every)


if __name__ == "__main__":
    main()
