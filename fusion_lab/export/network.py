"""Write a fusion network as ONNX, and compare the file with the network."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from fusion_core.engine.exported.maps import apply_maps
from fusion_core.errors import UsageError
from fusion_core.foundation import load_frozen
from fusion_core.models import Cues, Features, Fuser, LumaFuser, find_models
from fusion_core.models.blocks import PadToMultiple
from fusion_core.models.exported import ANY_SIZE, ExportedCard
from fusion_core.models.features import VISIBLE_INFRARED
from fusion_core.priors.tokens import DIM, TOKENS
from fusion_core.runtime.onnx_file import write_onnx
from fusion_core.runtime.safetensors_file import weights_identity

_TOKENS = 2 * TOKENS  # of the embedded provider: those of both pictures
_EXAMPLE = 96, 128  # height and width of the pictures with which a network for any size is traced
_OTHER = 160, 64  # another size, with which it is compared
_LEAST, _LARGEST = 32, 8192  # pixels


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written.

    Attributes:
        inputs: Name -> shape.
        outputs: Name -> shape.
        difference: Largest difference of the fused picture between ONNX Runtime and PyTorch on
            random pairs, in gray levels of 255.
    """

    inputs: dict[str, tuple[int, ...]]
    outputs: dict[str, tuple[int, ...]]
    difference: float


class _LumaGraph(nn.Module):
    """A network that fuses luma, with plain tensors in and out.

    Args:
        model: The network.
        whole: Give the picture also where a network gives maps of it.
    """

    def __init__(self, model: LumaFuser, *, whole: bool) -> None:
        super().__init__()
        self.model, self.whole = model, whole

    def named(self, thermal: Tensor, visible: Tensor, *more: Tensor) -> dict[str, Tensor]:
        uses = self.model.features
        slots, cues = _cues(uses, self.model.bank, list(more))
        out = self.model.fuse_luma(thermal, visible, slots, cues)
        in_maps = out.maps is not None and not self.whole
        found = {"maps": out.maps} if in_maps else {"fused": out.fused, "fused_chroma": out.chroma}
        found["query"] = out.query if uses.uses_memory else None
        return {name: x for name, x in found.items() if x is not None}

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.named(*given).values())


class _RgbGraph(nn.Module):
    """A network that gives the colour picture, with plain tensors in and out."""

    def __init__(self, model: Fuser, task: str) -> None:
        super().__init__()
        self.model, self.task = model, task

    def named(self, first: Tensor, second: Tensor, *more: Tensor) -> dict[str, Tensor]:
        slots, cues = _cues(self.model.features, self.model.bank, list(more))
        out = self.model.fuse(first, second, replace(cues, memory=slots, task=self.task))
        found = {"image": out.image, "query": out.memory_query}
        return {name: x for name, x in found.items() if x is not None}

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.named(*given).values())


def export_network(
    model: Fuser, path: Path, size: tuple[int, int] | None = None, task: str = VISIBLE_INFRARED
) -> Exported:
    """Write a network in float32, for pictures of any size or of one.

    Of any size means height and width that are multiples of the network's grid, which the file's
    metadata state with all else that :class:`ExportedCard` has.

    Inputs of a network that fuses luma: ``thermal`` and ``visible`` luma (full-range BT.601),
    1x1xHxW in [0, 1], hot is bright, and ``chroma`` 1x2xHxW Cb and Cr in [0, 1] where it looks at
    them; of one that gives colour: ``first`` and ``second`` 1x3xHxW RGB in [0, 1]. Of both:
    ``slots`` NxD with a memory bank and ``tokens`` 1xSxC with a scene prior.

    Outputs: ``fused`` 1x1xHxW luma, and ``fused_chroma`` where the network gives it, else the
    visible picture's stays; or ``image`` 1x3xHxW RGB. Where a network makes ``fused`` by
    ``models.blocks.apply_maps``, a file for any size has its ``maps`` 1x4xhxw instead, of which the
    pipeline makes it faster. With a memory bank ``query`` 1xD, the scene vector.

    Args:
        model: The network.
        path: File to write.
        size: Height and width of the pictures; None for any.
        task: The one task that the file does.

    Raises:
        UsageError: The network takes a mask or a text, does not do the task, or does not work for
            any size alike.
        MissingExtraError: The exporter's packages are not installed.
        OSError: The file cannot be written.
    """
    _refuse(model, task)
    load_frozen(model)
    rng = torch.Generator().manual_seed(0)
    arguments = _arguments(model, size or _EXAMPLE, rng)
    network = copy.deepcopy(model)
    luma = network.luma_path
    whole = (_RgbGraph(network, task) if luma is None else _LumaGraph(luma, whole=True)).eval()
    graph = whole if luma is None or size else _LumaGraph(luma, whole=False).eval()
    metadata = exported_card(model).to_metadata()
    metadata |= {"size": f"{size[1]}x{size[0]}" if size else ANY_SIZE, "task": task}
    # Before the export: tracing may leave traced values in what a network keeps.
    checks = [_arguments(model, edges, rng) for edges in ((size,) if size else (_EXAMPLE, _OTHER))]
    with torch.inference_mode():
        expected = [whole(*given.values())[0].numpy() for given in checks]
        outputs = list(graph.named(*checks[0].values()))
    # Other ways to compute attention order its result in memory as ONNX's does not.
    with sdpa_kernel(SDPBackend.MATH):
        if size:
            write_onnx(graph, arguments, outputs, path, metadata)
        else:
            _write_for_any_size(model, graph, arguments, outputs, path=path, metadata=metadata)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    difference = 0.0
    for given, wanted in zip(checks, expected, strict=True):
        got = session.run(outputs, {name: x.numpy() for name, x in given.items()})
        made = dict(zip(outputs, map(np.asarray, got), strict=True))
        difference = max(difference, float(np.abs(_picture(made, given) - wanted).max()) * 255)
    return Exported(
        {name: tuple(x.shape) for name, x in arguments.items()},
        {name: tuple(np.shape(x)) for name, x in zip(outputs, got, strict=True)},
        difference,
    )


def _picture(made: Mapping[str, NDArray[Any]], given: Mapping[str, Tensor]) -> NDArray[Any]:
    """Return the picture that a file's outputs are."""
    if "maps" not in made:
        return made["image" if "image" in made else "fused"]
    thermal, visible = (given[name][0, 0].numpy() for name in ("thermal", "visible"))
    return apply_maps(made["maps"][0], thermal, visible)


def exported_card(model: Fuser) -> ExportedCard:
    """Return what the exported file states about a network."""
    tensors = {name: tensor.cpu().numpy() for name, tensor in model.state_dict().items()}
    return ExportedCard(
        model=model.name,
        features=replace(model.features, gives="rgb" if model.luma_path is None else "luma"),
        grid=_grid(model),
        weights=weights_identity(tensors),
        slots=model.bank.detach().float().cpu().numpy(),
        scores=model.scores,
    )


def _grid(model: Fuser) -> int:
    """Return of what height and width of the network's pictures are multiples."""
    pads = [part.multiple for part in model.modules() if isinstance(part, PadToMultiple)]
    return math.lcm(1, *pads)


def _write_for_any_size(
    model: Fuser,
    graph: nn.Module,
    arguments: Mapping[str, Tensor],
    outputs: list[str],
    *,
    path: Path,
    metadata: Mapping[str, str],
) -> None:
    """Write a network whose pictures may have any height and width on its grid.

    Raises:
        UsageError: Its graph depends on the size in some other way.
    """
    grid = _grid(model)
    edges = (
        torch.export.Dim(name, min=-(-_LEAST // grid), max=_LARGEST // grid) * grid
        for name in ("rows", "columns")
    )
    vary: dict[int, Any] = dict(zip((2, 3), edges, strict=True))
    pictures = arguments.keys() - {"slots", "tokens"}
    try:
        write_onnx(
            graph,
            arguments,
            outputs,
            path,
            metadata,
            dynamic=dict.fromkeys(pictures, vary),
        )
    except torch.onnx.OnnxExporterError as error:
        reason = " ".join(str(error.__cause__ or error).split())[:200]
        raise UsageError(
            f"model {model.name!r}: cannot be exported for any size ({reason}); give one size "
            "with --size, such as 640x480"
        ) from error


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
