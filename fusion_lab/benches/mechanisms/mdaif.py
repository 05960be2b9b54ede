"""Ways around the parts of MdaIF: prior, prototypes, experts."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import cv2
import torch
from torch import Tensor, nn

from fusion_core.models import Cues
from fusion_core.models.blocks import Prototypes
from fusion_core.models.blocks.routing import Routing
from fusion_core.models.mdaif import MdaIF
from fusion_core.types import UInt8Image
from fusion_lab.benches.mechanisms.bypass import (
    Bypass,
    Made,
    Sample,
    System,
    replaced,
    replayed,
)
from fusion_lab.benches.restoring.pictures import DegradedPicture, read_degraded
from fusion_lab.training.degradations.testset import FOLDERS

_WEATHER = ("haze", "rain", "snow")


def _read(data: Path, limit: int) -> list[Sample]:
    """Read up to so many pairs, evenly spread, each in haze, in rain and in snow."""
    every = -(-sum(FOLDERS.values()) // limit)
    return [sample_of(p) for p in read_degraded(data, every) if p.group in _WEATHER]


def sample_of(picture: DegradedPicture) -> Sample:
    """Return a degraded picture with its prior; the reference is the clean visible luma.

    Its kind is what degrades it: an expert is chosen for a weather, and is missed there.
    """
    assert picture.pair.visible is not None, "pairs of the test set are complete"
    colour = _planes(picture.pair.visible)
    thermal = torch.from_numpy(picture.clean.thermal)[None, None].float() / 255
    cues = Cues(chroma=colour[:, 1:], tokens=torch.from_numpy(picture.prior.tokens)[None])
    return Sample(thermal, colour[:, :1], cues, _planes(picture.clean.visible)[0, 0], picture.group)


def _planes(rgb: UInt8Image) -> Tensor:
    planes = cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb)[..., [0, 2, 1]]
    return torch.from_numpy(planes).permute(2, 0, 1)[None].float() / 255


def _run(network: MdaIF, sample: Sample, cues: Cues) -> Made:
    """Fuse, and score the restored visible luma against the clean one."""
    made = network.restore(sample.thermal, sample.visible, cues)
    error = (made.visible[0, 0].clamp(0, 1) - sample.reference).square().mean()
    return Made(made.fused[0, 0], float(-10 * torch.log10(error + 1e-10)))


def _half(
    module: nn.Module, inputs: tuple[Tensor, Tensor], output: tuple[Tensor, Tensor]
) -> object:
    """Weigh all channels alike, by the mean of what weights there can be."""
    assert isinstance(module, Prototypes)
    return inputs[0] + module.norm(inputs[0]) / 2, output[1]


def _gates(change: Callable[[Tensor], Tensor]) -> Callable[..., AbstractContextManager[None]]:
    """Return a hold that changes the gates of the experts."""

    def hold(network: MdaIF, *_: object) -> AbstractContextManager[None]:
        def changed(_module: nn.Module, _inputs: object, routing: Routing) -> Routing:
            return routing._replace(gates=change(routing.gates))

        return replaced([network.experts.gate], changed)

    return hold


def without(gates: Tensor, rank: int) -> Tensor:
    """Return gates without the expert of this rank by weight, the others scaled up to sum 1."""
    order = gates.argsort(dim=1, descending=True)
    kept = gates.scatter(1, order[:, rank : rank + 1], 0.0)
    return kept / kept.sum(1, keepdim=True).clamp_min(1e-6)


def passed_over(gates: Tensor) -> Tensor:
    """Return equal gates for the experts that were not chosen."""
    others = (gates == 0).to(gates.dtype)
    return others / others.sum(1, keepdim=True).clamp_min(1)


SYSTEM = System(
    MdaIF,
    "restored visible, dB",
    _read,
    _run,
    (
        Bypass("scene prior", "none", cues=lambda cues, *_: replace(cues, tokens=None)),
        Bypass(
            "scene prior",
            "another picture's",
            cues=lambda cues, other, *_: replace(cues, tokens=other.tokens),
            random=True,
        ),
        Bypass(
            "prototypes",
            "channel attention 1/2",
            hold=lambda net, *_: replaced(net.prototypes, _half),
        ),
        Bypass("experts", "all left out", hold=_gates(torch.zeros_like)),
        Bypass("experts", "the first choice left out", hold=_gates(lambda g: without(g, 0))),
        Bypass("experts", "the second choice left out", hold=_gates(lambda g: without(g, 1))),
        Bypass("experts", "those not chosen, instead", hold=_gates(passed_over)),
        Bypass(
            "experts",
            "another picture's choice",
            hold=lambda net, run_other, _: replayed([net.experts.gate], run_other),
            random=True,
        ),
    ),
    mixed=True,
)
