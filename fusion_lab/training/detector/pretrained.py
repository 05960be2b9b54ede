"""Initial weights of ``pair-nano`` from the published ONNX file of YOLOX-Nano."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from fusion_core.errors import WeightsError, missing_extra
from fusion_lab.training.detector.network import PairNano
from fusion_lab.training.detector.yolox import YoloxNano

_ADVICE: Final = "give yolox_nano.onnx of the YOLOX releases (version 0.1.1rc0), COCO weights"
_RANGE: Final = 255.0  # YOLOX sees values from 0 to 255, we from 0 to 1


def load_yolox(path: Path) -> YoloxNano:
    """Return YOLOX-Nano with the weights of an ONNX file, changed to RGB in [0, 1].

    The file lists its convolutions in the order of execution, with normalisation folded in.

    Raises:
        MissingExtraError: The package ``onnx`` is not installed.
        WeightsError: The file is missing, torn or of another network.
    """
    network = YoloxNano()
    targets = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    found = _convolutions(path)
    if len(found) != len(targets):
        raise WeightsError(
            f"{path}: {len(found)} convolutions, YOLOX-Nano has {len(targets)}; {_ADVICE}"
        )
    found[0] = (_unfocused(found[0][0]) * _RANGE, found[0][1])
    for number, ((weight, bias), target) in enumerate(zip(found, targets, strict=True)):
        if weight.shape != target.weight.shape:
            raise WeightsError(
                f"{path}: convolution {number} is {tuple(weight.shape)}, YOLOX-Nano's "
                f"{tuple(target.weight.shape)}; {_ADVICE}"
            )
        assert target.bias is not None
        with torch.no_grad():
            target.weight.copy_(weight)
            target.bias.copy_(bias)
    return network


@torch.no_grad()
def draw_back(network: PairNano, donor: YoloxNano, share: float) -> None:
    """Draw a trained network's weights back to those that it adopted before its training.

    A straight line leads from one to the other (Wortsman et al., Robust fine-tuning of zero-shot
    models, CVPR 2022, equation 1). What weighs the cameras was not adopted, and stays.

    Args:
        network: Changed in place.
        donor: Where its weights came from.
        share: 0 leaves it as it is, 1 undoes the training.
    """
    start = PairNano()
    start.adopt(donor)
    first = start.state_dict()
    for name, weight in network.state_dict().items():
        if not name.startswith("mix."):
            weight.lerp_(first[name], share)


def _convolutions(path: Path) -> list[tuple[Tensor, Tensor]]:
    """Return weight and bias of each convolution of a file, in order."""
    try:
        import onnx
    except ImportError:
        raise missing_extra(f"{path}: reading ONNX", "onnx", "lab") from None
    try:
        graph = onnx.load(path).graph
        tensors = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
        nodes = [node for node in graph.node if node.op_type == "Conv"]
        pairs = [(tensors[node.input[1]], tensors[node.input[2]]) for node in nodes]
    except Exception as error:  # noqa: BLE001 - protobuf's errors have no common class
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(f"{path}: cannot be read ({reason}); {_ADVICE}") from None
    return [(torch.tensor(np.array(w)), torch.tensor(np.array(b))) for w, b in pairs]


def _unfocused(weight: Tensor) -> Tensor:
    """Return the 6x6 RGB kernel of the first layer, from 3x3 on interleaved BGR.

    Focus stacks the pixels of even rows and columns, odd rows, odd columns, and odd both; the
    pixel (2i + dy, 2j + dx) of a kernel of 6x6 is that of tap (i, j) in the stack (dy, dx).
    """
    if weight.shape[1] != 12:
        raise WeightsError(f"first layer has {weight.shape[1]} inputs, not 12; {_ADVICE}")
    kernel = weight.new_zeros(weight.shape[0], 3, 6, 6)
    for index, (dy, dx) in enumerate(((0, 0), (1, 0), (0, 1), (1, 1))):
        kernel[:, :, dy::2, dx::2] = weight[:, 3 * index : 3 * index + 3].flip(1)
    return kernel
