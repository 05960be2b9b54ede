"""Ways around the parts of M2PN and of its sisters on cells: memory bank, prompts, graph."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from fusion_core.models import NO_CUES, Cues
from fusion_core.models.blocks import GraphAttention
from fusion_core.models.m2pn import M2PN
from fusion_core.models.m2pn_cells import M2PNCells
from fusion_core.models.m2pn_scene import SceneFuser
from fusion_lab.benches.mechanisms.bypass import (
    Bypass,
    Made,
    Random,
    Sample,
    System,
    replaced,
    replayed,
)
from fusion_lab.benches.pictures import read_pictures
from fusion_lab.metrics import compute_all, to_gray

SETS = ("msrs", "roadscene/val")


def _read(data: Path, limit: int) -> list[Sample]:
    """Read pairs of both sets in equal numbers."""
    samples = []
    for name in SETS:
        pairs = list(read_pictures(data / name))
        count = -(-limit // len(SETS))
        for index in np.linspace(0, len(pairs) - 1, min(count, len(pairs))).astype(int):
            thermal, visible = (to_gray(p) for p in (pairs[index].second, pairs[index].first))
            first, second = (
                torch.from_numpy(plane)[None, None].float() / 255 for plane in (thermal, visible)
            )
            samples.append(Sample(first, second, NO_CUES, (thermal, visible)))
    return samples[:limit]


def _run(network: SceneFuser, sample: Sample, cues: Cues) -> Made:
    """Fuse, and score how many of the sources' edges are kept."""
    fused = network.forward_luma(sample.thermal, sample.visible, cues).fused[0, 0].clamp(0, 1)
    pixels = fused.mul(255).round().byte().numpy()
    return Made(fused, compute_all(pixels, sample.reference, ("Qabf",))["Qabf"])


def _bank(network: SceneFuser, change: Tensor) -> Cues:
    return replace(NO_CUES, memory=change.to(network.bank))


def _shuffled(network: SceneFuser, rng: Random) -> Tensor:
    """Return every slot with its values in another order: as long, and of no meaning."""
    slots = network.bank.detach().numpy()
    return torch.from_numpy(rng.permuted(slots, axis=1))


def _prompts_of(network: SceneFuser) -> list[nn.Module]:
    """Return what makes prompts: those of the blocks, and those of the regions."""
    parts = network.named_modules()
    return [part for name, part in parts if name.rpartition(".")[2] == "prompt"]


def _no_prompts(network: SceneFuser, *_: object) -> AbstractContextManager[None]:
    return replaced(_prompts_of(network), lambda _module, _inputs, output: torch.zeros_like(output))


def _graphs_of(network: SceneFuser) -> list[nn.Module]:
    return [part for part in network.modules() if isinstance(part, GraphAttention)]


def _no_graph(network: SceneFuser, *_: object) -> AbstractContextManager[None]:
    return replaced(_graphs_of(network), lambda _module, inputs, _output: inputs[0])


def _alone(network: SceneFuser, *_: object) -> AbstractContextManager[None]:
    """Let every node of the graphs read itself, and no other."""
    return replaced(
        _graphs_of(network),
        lambda module, inputs, output: module.forward(inputs[0].flatten(0, 1)[:, None]).reshape(
            output.shape
        ),
    )


def _has_places(network: SceneFuser) -> bool:
    return network.places is not None


def _read_alike(network: SceneFuser, *_: object) -> AbstractContextManager[None]:
    """Let every place go on as the mean of what all places have read."""
    assert network.places is not None, "its places read the bank"
    return replaced(
        [network.places],
        lambda _module, _inputs, read: read.mean((2, 3), keepdim=True).expand_as(read),
    )


SYSTEM = System(
    M2PN,
    "Qabf",
    _read,
    _run,
    (
        Bypass(
            "memory bank",
            "zero",
            cues=lambda _c, _o, net, _r: _bank(net, torch.zeros_like(net.bank)),
        ),
        Bypass(
            "memory bank",
            "values of each slot shuffled",
            cues=lambda _c, _o, net, rng: _bank(net, _shuffled(net, rng)),
            random=True,
        ),
        Bypass("memory bank", "negated", cues=lambda _c, _o, net, _r: _bank(net, -net.bank)),
        Bypass(
            "memory bank",
            "all slots their mean",
            cues=lambda _c, _o, net, _r: _bank(net, net.bank.mean(0).expand_as(net.bank)),
        ),
        Bypass(
            "memory bank by place",
            "another picture's",
            hold=lambda net, run_other, _: replayed([net.places], run_other),
            random=True,
            has=_has_places,
        ),
        Bypass("memory bank by place", "mean of the picture", hold=_read_alike, has=_has_places),
        Bypass("prompts", "zero", hold=_no_prompts),
        Bypass(
            "prompts",
            "another picture's",
            hold=lambda net, run_other, _: replayed(_prompts_of(net), run_other),
            random=True,
        ),
        Bypass("graph attention", "nodes as they are", hold=_no_graph),
        Bypass("graph attention", "every node by itself", hold=_alone),
    ),
)
CELLS_SYSTEM = replace(
    SYSTEM,
    network=M2PNCells,
    bypasses=(
        *SYSTEM.bypasses,
        Bypass(
            "scene in the head",
            "zero",
            hold=lambda net, *_: replaced(
                [net.head.scene], lambda _module, _inputs, output: torch.zeros_like(output)
            ),
        ),
    ),
)
