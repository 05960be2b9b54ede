"""Write a fusion network as ONNX, and compare the file with the network."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from fusion_core.errors import UsageError
from fusion_core.foundation import load_frozen
from fusion_core.models import Cues, Features, Fuser, LumaFuser, find_models
from fusion_core.models.cues import VISIBLE_INFRARED
from fusion_core.priors.network import DIM, TOKENS
from fusion_core.runtime.onnx_file import write_onnx

_TOKENS = 2 * TOKENS  # of the embedded provider: those of both pictures


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written.

    Attributes:
        inputs: Name -> shape.
        outputs: Name -> shape.
        difference: Largest difference of the fused picture between ONNX Runtime and PyTorch on one
            random pair, in gray levels of 255.
    """

    inputs: dict[str, tuple[int, ...]]
    outputs: dict[str, tuple[int, ...]]
    difference: float


class _LumaGraph(nn.Module):
    """A network that fuses luma, with plain tensors in and out."""

    def __init__(self, model: LumaFuser) -> None:
        super().__init__()
        self.model = model

    def forward(self, thermal: Tensor, visible: Tensor, *more: Tensor) -> tuple[Tensor, ...]:
        uses = self.model.features
        slots, cues = _cues(uses, self.model.bank, list(more))
        out = self.model.fuse_luma(thermal, visible, slots, cues)
        found = (out.fused, out.chroma, out.query if uses.uses_memory else None)
        return tuple(x for x in found if x is not None)


class _RgbGraph(nn.Module):
    """A network that gives the colour picture, with plain tensors in and out."""

    def __init__(self, model: Fuser, task: str) -> None:
        super().__init__()
        self.model, self.task = model, task

    def forward(self, first: Tensor, second: Tensor, *more: Tensor) -> tuple[Tensor, ...]:
        slots, cues = _cues(self.model.features, self.model.bank, list(more))
        out = self.model.fuse(first, second, replace(cues, memory=slots, task=self.task))
        found = (out.image, out.memory_query)
        return tuple(x for x in found if x is not None)


def export_network(
    model: Fuser, path: Path, size: tuple[int, int], task: str = VISIBLE_INFRARED
) -> Exported:
    """Write a network in float32 for pictures of one size.

    Inputs of a network that fuses luma: ``thermal`` and ``visible`` luma (full-range BT.601),
    1x1xHxW in [0, 1], hot is bright, and ``chroma`` 1x2xHxW Cb and Cr in [0, 1] where it looks at
    them; of one that gives colour: ``first`` and ``second`` 1x3xHxW RGB in [0, 1]. Of both:
    ``slots`` NxD with a memory bank and ``tokens`` 1xSxC with a scene prior.

    Outputs: ``fused`` 1x1xHxW luma, and ``fused_chroma`` where the network gives it, else the
    visible picture's stays; or ``image`` 1x3xHxW RGB. With a memory bank ``query`` 1xD, the scene
    vector.

    Args:
        model: The network.
        path: File to write.
        size: Height and width of the pictures.
        task: The one task that the file does.

    Raises:
        UsageError: The network takes a mask or a text, or does not do the task.
        MissingExtraError: The exporter's packages are not installed.
        OSError: The file cannot be written.
    """
    uses = model.features
    _refuse(model, task)
    load_frozen(model)
    rng = torch.Generator().manual_seed(0)
    arguments = _arguments(model, size, rng)
    network = copy.deepcopy(model)
    luma = network.luma_path
    graph = (_RgbGraph(network, task) if luma is None else _LumaGraph(luma)).eval()
    named = {
        "image": luma is None,
        "fused": luma is not None,
        "fused_chroma": luma is not None and uses.uses_chroma,
        "query": uses.uses_memory,
    }
    outputs = [name for name, given in named.items() if given]
    metadata = {"model": model.name, "size": f"{size[1]}x{size[0]}", "task": task}
    with torch.inference_mode():
        expected = graph(*arguments.values())
    # Other ways to compute attention order its result in memory as ONNX's does not.
    with sdpa_kernel(SDPBackend.MATH):
        write_onnx(graph, arguments, outputs, path, metadata)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    got = session.run(outputs, {name: x.numpy() for name, x in arguments.items()})
    difference = float(np.abs(np.asarray(got[0]) - expected[0].numpy()).max()) * 255
    return Exported(
        {name: tuple(x.shape) for name, x in arguments.items()},
        {name: tuple(np.shape(x)) for name, x in zip(outputs, got, strict=True)},
        difference,
    )


def _refuse(model: Fuser, task: str) -> None:
    """Refuse a network that does not do the task, or that a fixed graph cannot hold."""
    uses = model.features
    if task not in uses.tasks:
        raise UsageError(f"model {model.name!r}: does {', '.join(uses.tasks)}, not {task!r}")
    for taken, reason in (
        (uses.uses_mask, "a mask: what it computes depends on where the mask marks something"),
        (uses.uses_text, "a text: its encoder and the number of tokens are not fixed"),
    ):
        if taken:
            known = find_models(lambda other: not (other.uses_mask or other.uses_text))
            raise UsageError(
                f"model {model.name!r} takes {reason}, which a fixed graph cannot hold; export "
                f"{', '.join(known)}"
            )


def _cues(uses: Features, bank: Tensor, given: list[Tensor]) -> tuple[Tensor, Cues]:
    """Return the slots and the cues from the graph's inputs, in the order of :func:`_arguments`."""
    slots = given.pop(0) if uses.uses_memory else bank
    chroma = given.pop(0) if uses.uses_chroma else None
    tokens = given.pop(0) if uses.uses_prior else None
    return slots, Cues(chroma, tokens)


def _arguments(model: Fuser, size: tuple[int, int], rng: torch.Generator) -> dict[str, Tensor]:
    """Return an example of every input, by name and in the graph's order."""
    uses = model.features
    names, channels = (("first", "second"), 3)
    if model.luma_path is not None:
        names, channels = ("thermal", "visible"), 1
    example = {name: torch.rand(1, channels, *size, generator=rng) for name in names}
    if uses.uses_memory:
        example["slots"] = model.bank.detach().cpu().clone()
    if uses.uses_chroma:
        example["chroma"] = torch.rand(1, 2, *size, generator=rng)
    if uses.uses_prior:
        width = uses.prior_width or DIM
        example["tokens"] = torch.randn(1, _TOKENS, width, generator=rng)
    return example
