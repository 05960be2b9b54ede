"""Write a trained detector as ONNX with the interface that the run time expects."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import torch
from torch.export import Dim

from fusion_core.detection.labels import CLASSES
from fusion_core.runtime.onnx_file import write_onnx
from fusion_lab.training.detector.network import PairNano

_CONFIDENCE: Final = 0.3
_OVERLAP: Final = 0.5
_STRIDE: Final = 32  # by which the edges of the input vary
_MOST: Final = 256  # strides of an edge


def export_onnx(
    model: PairNano,
    size: tuple[int, int],
    path: Path,
    notes: Mapping[str, object],
    *,
    large: tuple[int, int] | None = None,
) -> None:
    """Write ``path`` with the names, threshold, kind and sizes of input in its metadata.

    Input ``images`` is 1x4xHxW float32 in [0, 1]: red, green, blue, thermal, of any height and
    width that are multiples of 32. Output ``output0`` is
    1x(4+C)xP float32: box centre x, centre y, width and height in input pixels, then the
    probability of each class, without suppression of overlapping boxes.

    Args:
        model: Trained network.
        size: Height and width of the usual input, multiples of 32.
        path: File to write.
        notes: Description of the run; kept in the metadata as JSON under ``training``.
        large: Height and width of the input for large pictures, likewise; None: the usual one.

    Raises:
        MissingExtraError: The exporter's packages are not installed.
        OSError: The file cannot be written.
    """
    metadata = {
        "names": str(dict(enumerate(CLASSES))),
        "input": "pair",
        "conf": str(_CONFIDENCE),
        "iou": str(_OVERLAP),
        "imgsz": json.dumps(size),
        "training": json.dumps(notes, sort_keys=True),
    }
    if large is not None:
        metadata["imgsz_large"] = json.dumps(large)
    rows, columns = (_STRIDE * Dim(name, min=2, max=_MOST) for name in ("rows", "columns"))
    write_onnx(
        copy.deepcopy(model),
        {"images": torch.zeros(1, 4, *size)},
        ["output0"],
        path,
        metadata,
        dynamic={"images": {2: rows, 3: columns}},
    )
