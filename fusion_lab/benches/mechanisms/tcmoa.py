"""Ways around the parts of TC-MoA: adapters, routers, prompts, clues."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch
from torch import nn

from fusion_core.models import Cues, PromptEdit
from fusion_core.models.blocks.routing import Routing
from fusion_core.models.colour import luma_of
from fusion_core.models.tcmoa import TCMoA
from fusion_core.models.tcmoa.adapters import Mixed, TaskAdapters
from fusion_core.models.tcmoa.prompt_layer import PromptLayer
from fusion_core.types import UInt8Image
from fusion_lab.benches.mechanisms.bypass import (
    Bypass,
    Made,
    Random,
    Sample,
    System,
    replaced,
    replayed,
)
from fusion_lab.data import FusionTask, list_pairs, read_example
from fusion_lab.metrics import compute_all, to_gray

_SETS: Final[tuple[tuple[FusionTask, str], ...]] = (("mef", "mef"), ("mff", "mff"), ("vif", "msrs"))
_OTHER: Final = {"mef": "mff", "mff": "mef", "vif": "mff"}
_SIZE: Final = (320, 240)  # of all: prompts of one picture stand in for those of another


def _read(data: Path, limit: int) -> list[Sample]:
    """Read pairs of the three tasks in equal numbers, two at least, reduced to one size."""
    count = max(2, limit // len(_SETS))
    samples = []
    for task, folder in _SETS:
        pairs = list_pairs([data / folder], task)
        for index in np.linspace(0, len(pairs) - 1, min(count, len(pairs))).astype(int):
            example = read_example(pairs[index])
            samples.append(sample_of(example.first, example.second, task))
    return samples


def sample_of(first: UInt8Image, second: UInt8Image, task: FusionTask) -> Sample:
    """Return a pair of a task; the reference are the sources as gray pictures."""
    pictures = [
        cv2.resize(picture, _SIZE, interpolation=cv2.INTER_AREA) for picture in (first, second)
    ]
    colours = [np.dstack([p, p, p]) if p.ndim == 2 else p for p in pictures]
    one, other = (torch.from_numpy(p).permute(2, 0, 1)[None].float() / 255 for p in colours)
    grays = to_gray(np.asarray(colours[1], np.uint8)), to_gray(np.asarray(colours[0], np.uint8))
    return Sample(other, one, Cues(task=task), grays, kind=task)


def _run(network: TCMoA, sample: Sample, cues: Cues) -> Made:
    """Fuse, and score how many of the sources' edges are kept."""
    image = network.decide((sample.visible, sample.thermal), cues).image.clamp(0, 1)
    luma = luma_of(image)[0, 0]
    pixels = luma.mul(255).round().byte().numpy()
    return Made(luma, compute_all(pixels, sample.reference, ("Qabf",))["Qabf"])


def _adapters(network: TCMoA) -> list[TaskAdapters]:
    return [module for module in network.modules() if isinstance(module, TaskAdapters)]


def _prompt_adapters(network: TCMoA) -> list[TaskAdapters]:
    return [module.adapters for module in network.modules() if isinstance(module, PromptLayer)]


def _silent(_module: nn.Module, _inputs: object, mixed: Mixed) -> Mixed:
    return mixed._replace(answer=torch.zeros_like(mixed.answer))


def _no_adapters(network: TCMoA, *_: object) -> AbstractContextManager[None]:
    return replaced(_adapters(network), _silent)


def _even_prompts(network: TCMoA, *_: object) -> AbstractContextManager[None]:
    return replaced(_prompt_adapters(network), _silent)


def _no_clues(network: TCMoA, *_: object) -> AbstractContextManager[None]:
    looks = [m.look for m in network.modules() if isinstance(m, PromptLayer) and m.look is not None]
    return replaced(looks, lambda _module, _inputs, output: torch.zeros_like(output))


def _shuffled(network: TCMoA, _other: object, rng: Random) -> AbstractContextManager[None]:
    """Let every token have adapters drawn by lot instead of the chosen ones."""

    def shuffle(_module: nn.Module, _inputs: object, routing: Routing) -> Routing:
        gates = routing.gates
        order = rng.permuted(np.tile(np.arange(gates.shape[1]), (len(gates), 1)), axis=1)
        return routing._replace(gates=gates.gather(1, torch.from_numpy(order)))

    return replaced([adapters.gate for adapters in _adapters(network)], shuffle)


def _of_another_task(cues: Cues, *_: object) -> Cues:
    return replace(cues, edit=PromptEdit(task_mix={_OTHER[cues.task]: 1.0}))


SYSTEM = System(
    TCMoA,
    "edges kept, Qabf",
    _read,
    _run,
    (
        Bypass("adapters", "removed", hold=_no_adapters),
        Bypass("routers", "adapters drawn by lot", hold=_shuffled, random=True),
        Bypass("routers", "another task's", cues=_of_another_task),
        Bypass("prompts", "one half", hold=_even_prompts),
        Bypass(
            "prompts",
            "another picture's",
            hold=lambda net, run_other, _: replayed(_prompt_adapters(net), run_other),
            random=True,
        ),
        Bypass("clues of the prompts", "none", hold=_no_clues),
    ),
)
