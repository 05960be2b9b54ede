"""Write a trained detector as ONNX with the interface that the run time expects."""

from __future__ import annotations

import copy
import json
import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import torch

from fusion_core.detection.labels import CLASSES
from fusion_core.errors import MissingExtraError
from fusion_core.runtime.files import atomic_path
from fusion_core.training.detector.network import PairNano

_OPSET: Final = 18
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
        notes: What the run says about itself; kept in the metadata as JSON under ``training``.

    Raises:
        MissingExtraError: The exporter's packages are not installed.
        OSError: The file cannot be written.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401
    except ImportError:
        raise MissingExtraError(
            f"{path}: writing ONNX needs onnx and onnxscript; run: pip install fusion-core[train]"
        ) from None
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():  # the exporter's own use of old names
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            copy.deepcopy(model).eval().cpu(),
            (torch.zeros(1, 4, *size),),
            input_names=["images"],
            output_names=["output0"],
            opset_version=_OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    proto = program.model_proto
    # The exporter notes the source line of every node, with the paths of the machine at hand.
    for noted in (
        proto.graph,
        *proto.graph.node,
        *proto.graph.value_info,
        *proto.graph.initializer,
    ):
        noted.ClearField("metadata_props")
    metadata = {
        "names": str(dict(enumerate(CLASSES))),
        "input": "pair",
        "conf": str(_CONFIDENCE),
        "iou": str(_OVERLAP),
        "training": json.dumps(notes, sort_keys=True),
    }
    onnx.helper.set_model_props(proto, metadata)
    with atomic_path(path) as temporary:
        temporary.write_bytes(proto.SerializeToString())
