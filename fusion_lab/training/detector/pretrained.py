"""Initial weights of ``pair-nano``: of the published YOLOX-Nano, or of an earlier ``pair-nano``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fusion_core.errors import WeightsError, missing_extra
from fusion_lab.training.detector.network import PairNano
from fusion_lab.training.detector.yolox import YoloxNano

_ADVICE: Final = (
    "give yolox_nano.onnx of the YOLOX releases (0.1.1rc0), COCO weights, or a pair-nano"
)
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


def load_initial(path: Path) -> dict[str, Tensor]:
    """Return the weights of a ``PairNano`` that an ONNX file holds, by name.

    Of YOLOX-Nano these are all but what weighs the cameras, of an earlier ``pair-nano`` all that
    the file knows.

    Raises:
        MissingExtraError: The package ``onnx`` is not installed.
        WeightsError: The file is missing, torn or of another network.
    """
    start = PairNano()
    state = start.state_dict()
    found = {name: tensor for name, tensor in _tensors(path).items() if name in state}
    if not found:
        start.adopt(load_yolox(path))
        return {n: w for n, w in state.items() if not n.startswith(("mix.", "trust."))}
    for name, tensor in found.items():
        if tensor.shape != state[name].shape:
            raise WeightsError(
                f"{path}: {name} is {tuple(tensor.shape)}, pair-nano's {tuple(state[name].shape)}; "
                "give a pair-nano.onnx of this version"
            )
    return found


@torch.no_grad()
def draw_back(network: PairNano, initial: Mapping[str, Tensor], share: float) -> None:
    """Draw a trained network's weights back to those that it had before its training.

    A straight line leads from one to the other (Wortsman et al., Robust fine-tuning of zero-shot
    models, CVPR 2022, equation 1). What was not among them stays.

    Args:
        network: Changed in place.
        initial: Name -> weight before the training.
        share: 0 leaves it as it is, 1 undoes the training.
    """
    for name, weight in network.state_dict().items():
        if name in initial:
            weight.lerp_(initial[name], share)


def with_weights(path: Path, weights: Mapping[str, Tensor], out: Path) -> Path:
    """Write a ``pair-nano`` file that differs from another one in some weights; return its path.

    Raises:
        MissingExtraError: The package ``onnx`` is not installed.
        WeightsError: The file is missing or torn, or lacks one of the weights.
    """
    model = _load(path)
    import onnx

    held = {tensor.name: tensor for tensor in model.graph.initializer}
    for name, weight in weights.items():
        if name not in held:
            raise WeightsError(f"{path}: has no weight {name}; give a pair-nano.onnx")
        held[name].CopyFrom(onnx.numpy_helper.from_array(weight.numpy(), name))
    onnx.save(model, out)
    return out


def _tensors(path: Path) -> dict[str, Tensor]:
    """Return all weights of a file by name."""
    graph = _load(path).graph
    return {t.name: torch.tensor(np.array(_array(t))) for t in graph.initializer}


def _convolutions(path: Path) -> list[tuple[Tensor, Tensor]]:
    """Return weight and bias of each convolution of a file, in order."""
    graph = _load(path).graph
    try:
        tensors = {t.name: _array(t) for t in graph.initializer}
        nodes = [node for node in graph.node if node.op_type == "Conv"]
        pairs = [_weight_and_bias(node, tensors) for node in nodes]
    except (KeyError, IndexError) as error:
        raise WeightsError(f"{path}: cannot be read ({error!r}); {_ADVICE}") from None
    return [(torch.tensor(np.array(w)), torch.tensor(np.array(b))) for w, b in pairs]


def _weight_and_bias(
    node: Any,  # noqa: ANN401 - onnx is imported late
    tensors: Mapping[str, NDArray[Any]],
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return those of a convolution; one without a bias adds nothing."""
    weight = tensors[node.input[1]]
    bias = tensors[node.input[2]] if len(node.input) > 2 else np.zeros(len(weight), np.float32)
    return weight, bias


def _load(path: Path) -> Any:  # noqa: ANN401 - onnx is imported late
    """Return the model that an ONNX file holds."""
    try:
        import onnx
    except ImportError:
        raise missing_extra(f"{path}: reading ONNX", "onnx", "lab") from None
    try:
        return onnx.load(path)
    except Exception as error:  # noqa: BLE001 - protobuf's errors have no common class
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(f"{path}: cannot be read ({reason}); {_ADVICE}") from None


def _array(tensor: Any) -> Any:  # noqa: ANN401 - onnx is imported late
    import onnx

    return onnx.numpy_helper.to_array(tensor)


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
