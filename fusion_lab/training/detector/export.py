"""Write a trained detector as ONNX with the interface that the run time expects."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import torch

from fusion_core.detection.labels import CLASSES
from fusion_core.runtime.onnx_file import write_onnx
from fusion_lab.training.detector.network import PairNano

_CONFIDENCE: Final = 0.3
_OVERLAP: Final = 0.5


def export_onnx(
    model: PairNano, size: tuple[int, int], path: Path, notes: Mapping[str, object]
) -> None:
    """Write ``path`` with the names, threshold and kind of input in its metadata.

    Input ``images`` is 1x4xHxW float32 in [0, 1]: red, green, blue, thermal. Output ``output0`` is
    1x(4+C)xP float32: box centre x, centre y, width and height in input pixels, then the
    probability of each class, without suppression of overlapping boxes.

    Args:
        model: Trained network.
        size: Height and width of the input, multiples of 32.
        path: File to write.
        notes: Description of the run; kept in the metadata as JSON under ``training``.

    Raises:
        MissingExtraError: The exporter's packages are not installed.
        OSError: The file cannot be written.
    """
    metadata = {
        "names": str(dict(enumerate(CLASSES))),
        "input": "pair",
        "conf": str(_CONFIDENCE),
        "iou": str(_OVERLAP),
        "training": json.dumps(notes, sort_keys=True),
    }
    images = torch.zeros(1, 4, *size)
    write_onnx(copy.deepcopy(model), {"images": images}, ["output0"], path, metadata)
