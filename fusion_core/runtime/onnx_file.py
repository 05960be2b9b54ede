"""Networks as ONNX files."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from inspect import Parameter, signature
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from fusion_core.errors import missing_extra
from fusion_core.runtime.files import atomic_path

_OPSET: Final = 18


def write_onnx(
    network: nn.Module,
    inputs: Mapping[str, Tensor],
    outputs: Sequence[str],
    path: Path,
    metadata: Mapping[str, str],
    *,
    dynamic: Mapping[str, Mapping[int, Any]] | None = None,
) -> None:
    """Write a network, as it computes in evaluation mode; the file is whole or as it was.

    Args:
        network: Takes the inputs by position, returns tensors.
        inputs: Name -> example; the file is for inputs of these sizes.
        outputs: Names of the outputs.
        path: File to write.
        metadata: Lines to keep with the network.
        dynamic: Name of an input -> axis -> the `torch.export.Dim` by which it may vary.

    Raises:
        Exception: Of many classes, where the network computes something else for other sizes.
        MissingExtraError: The exporter's packages are not installed.
        OSError: The file cannot be written.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401
    except ImportError:
        raise missing_extra(f"{path}: writing ONNX", "onnx and onnxscript", "lab") from None
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():  # the exporter's own use of old names
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network.cpu().eval(),
            tuple(inputs.values()),
            input_names=list(inputs),
            output_names=list(outputs),
            opset_version=_OPSET,
            dynamo=True,
            verbose=False,
            dynamic_shapes=None if dynamic is None else _by_position(network, inputs, dynamic),
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
    onnx.helper.set_model_props(proto, dict(metadata))
    with atomic_path(path) as temporary:
        temporary.write_bytes(proto.SerializeToString())


def _by_position(
    network: nn.Module, inputs: Mapping[str, Tensor], dynamic: Mapping[str, Mapping[int, Any]]
) -> tuple[Any, ...]:
    """Return what varies per argument of ``forward``; the last one may take all that follow."""
    each = [dict(dynamic.get(name, {})) for name in inputs]
    kinds = [parameter.kind for parameter in signature(network.forward).parameters.values()]
    if Parameter.VAR_POSITIONAL not in kinds:
        return tuple(each)
    plain = kinds.index(Parameter.VAR_POSITIONAL)
    return (*each[:plain], tuple(each[plain:]))
