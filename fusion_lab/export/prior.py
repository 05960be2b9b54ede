"""Write the embedded provider's networks as one ONNX file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

from fusion_core.priors.checkpoint import SHIPPED, load_prior
from fusion_core.priors.exported import FORMAT, PARTS, VERSION, prior_identity
from fusion_core.priors.inputs import CROP, CROPS, STATISTICS, THUMB_COLUMNS, THUMB_ROWS
from fusion_core.priors.network import PriorNet
from fusion_core.runtime.onnx_file import write_onnx
from fusion_lab.export.network import Exported


class _PriorGraph(nn.Module):
    """Both networks, with what the provider takes of them."""

    def __init__(self, visible: PriorNet, thermal: PriorNet) -> None:
        super().__init__()
        self.visible, self.thermal = visible, thermal

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return (*_found(self.visible, *inputs[:3]), *_found(self.thermal, *inputs[3:]))


def export_prior(path: Path, weights: Path = SHIPPED) -> Exported:
    """Write the networks of both modalities in float32.

    Inputs and outputs are those of :class:`fusion_core.priors.exported.ExportedProvider`.

    Args:
        path: File to write.
        weights: Checkpoint of the provider.

    Raises:
        WeightsError: The checkpoint is missing, torn or foreign.
        MissingExtraError: The exporter's packages are not installed.
        OSError: The file cannot be written.
    """
    graph = _PriorGraph(*load_prior(weights)).eval()
    rng = torch.Generator().manual_seed(0)
    example: dict[str, Tensor] = {}
    for name, channels in (("visible", 3), ("thermal", 1)):
        example[f"{name}_thumb"] = torch.rand(1, channels, THUMB_ROWS, THUMB_COLUMNS, generator=rng)
        example[f"{name}_crops"] = torch.rand(1, CROPS, CROP, CROP, generator=rng)
        example[f"{name}_statistics"] = torch.rand(1, STATISTICS, generator=rng)
    outputs = [f"{name}_{part}" for name in ("visible", "thermal") for part in PARTS]
    metadata = {"format": FORMAT, "version": VERSION, "weights": prior_identity(weights)}
    write_onnx(graph, example, outputs, path, metadata)
    with torch.inference_mode():
        expected = graph(*example.values())
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    got = session.run(outputs, {name: x.numpy() for name, x in example.items()})
    return Exported(
        {name: tuple(x.shape) for name, x in example.items()},
        {name: tuple(np.shape(x)) for name, x in zip(outputs, got, strict=True)},
        max(
            float(np.abs(np.asarray(x) - y.numpy()).max()) * 255
            for x, y in zip(got, expected, strict=True)
        ),
    )


def _found(net: PriorNet, thumb: Tensor, crops: Tensor, statistics: Tensor) -> tuple[Tensor, ...]:
    """Return probabilities ``1xK``, quality ``1`` in (0, 1) and tokens ``1x16x128``."""
    logits, quality, tokens = net(thumb, crops, statistics)
    return net.probabilities(logits), torch.sigmoid(quality), tokens
