"""Write a fusion network as ONNX, and compare the file with the network."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

from fusion_core.errors import UsageError
from fusion_core.models import Cues, Fuser
from fusion_core.priors.network import TOKENS
from fusion_core.runtime.onnx_file import write_onnx

_TOKENS = 2 * TOKENS  # of the embedded provider: those of both pictures


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written.

    Attributes:
        inputs: Name -> shape.
        outputs: Name -> shape.
        difference: Largest difference of the fused luma between ONNX Runtime and PyTorch on one
            random pair, in gray levels of 255.
    """

    inputs: dict[str, tuple[int, ...]]
    outputs: dict[str, tuple[int, ...]]
    difference: float


class _Graph(nn.Module):
    """A network with plain tensors in and out."""

    def __init__(self, model: Fuser) -> None:
        super().__init__()
        self.model = model

    def forward(self, thermal: Tensor, visible: Tensor, *more: Tensor) -> tuple[Tensor, ...]:
        uses, rest = self.model.features, list(more)
        slots = rest.pop(0) if uses.uses_memory else self.model.bank
        chroma = rest.pop(0) if uses.uses_chroma else None
        tokens = rest.pop(0) if uses.uses_prior else None
        out = self.model.fuse(thermal, visible, slots, Cues(chroma, tokens))
        found = (out.fused, out.chroma, out.query if uses.uses_memory else None)
        return tuple(x for x in found if x is not None)


def export_network(model: Fuser, path: Path, size: tuple[int, int]) -> Exported:
    """Write a network in float32 for pictures of one size.

    Inputs: ``thermal`` and ``visible`` luma (full-range BT.601), 1x1xHxW in [0, 1], hot is bright;
    ``slots`` NxD of networks with a memory bank; ``chroma`` 1x2xHxW Cb and Cr in [0, 1] and
    ``tokens`` 1xSxC of networks that restore. Outputs: ``fused`` 1x1xHxW luma; ``fused_chroma`` of
    networks that restore, else the visible picture's stays; ``query`` 1xD, the scene vector, of
    networks with a memory bank.

    Args:
        model: The network.
        path: File to write.
        size: Height and width of the pictures.

    Raises:
        UsageError: The network is steered by masks.
        MissingExtraError: The exporter's packages are not installed.
        OSError: The file cannot be written.
    """
    uses = model.features
    if uses.uses_mask:
        raise UsageError(
            f"model {model.name!r}: what it computes depends on where the mask marks something, "
            "which a fixed graph cannot hold; export m2pn, m2pn-edge or mdaif"
        )
    rng = torch.Generator().manual_seed(0)
    arguments = _arguments(model, size, rng)
    outputs = [
        name
        for name, given in (
            ("fused", True),
            ("fused_chroma", uses.uses_chroma),
            ("query", uses.uses_memory),
        )
        if given
    ]
    graph = _Graph(copy.deepcopy(model)).eval()
    metadata = {"model": model.name, "size": f"{size[1]}x{size[0]}"}
    write_onnx(graph, arguments, outputs, path, metadata)
    with torch.inference_mode():
        expected = graph(*arguments.values())
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    got = session.run(outputs, {name: x.numpy() for name, x in arguments.items()})
    difference = float(np.abs(np.asarray(got[0]) - expected[0].numpy()).max()) * 255
    return Exported(
        {name: tuple(x.shape) for name, x in arguments.items()},
        {name: tuple(np.shape(x)) for name, x in zip(outputs, got, strict=True)},
        difference,
    )


def _arguments(model: Fuser, size: tuple[int, int], rng: torch.Generator) -> dict[str, Tensor]:
    """Return an example of every input, by name and in the graph's order."""
    uses = model.features
    example = {name: torch.rand(1, 1, *size, generator=rng) for name in ("thermal", "visible")}
    if uses.uses_memory:
        example["slots"] = model.bank.detach().cpu().clone()
    if uses.uses_chroma:
        example["chroma"] = torch.rand(1, 2, *size, generator=rng)
    if uses.uses_prior:
        width = model.config.prior  # type: ignore[attr-defined]
        example["tokens"] = torch.randn(1, _TOKENS, width, generator=rng)
    return example
