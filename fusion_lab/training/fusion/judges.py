"""What scores the fused crops of a step for the memory (M2PN, section "quality assessment")."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from fusion_core.memory import HISTORY, quality_score
from fusion_core.models import LumaFuser
from fusion_core.priors.clip import ClipProvider
from fusion_core.types import UInt8Image
from fusion_lab.training.batches import whole_pair_batch
from fusion_lab.training.fusion.discriminator import Discriminator

JudgeName = Literal["handcrafted", "clip", "discriminator"]


class Judge(Protocol):
    """Scores fused pictures."""

    def score(self, fused: Tensor, thermal: Tensor, visible: Tensor) -> Tensor:
        """Return ``B`` scores in (0, 1) of ``Bx1xHxW`` luma in [0, 1], beside its sources."""


class Handcrafted:
    """Contrast, sharpness, exposure and noise; the score that a running robot uses."""

    def score(self, fused: Tensor, thermal: Tensor, visible: Tensor) -> Tensor:  # noqa: ARG002
        """Return the scores; the sources are not looked at."""
        return torch.tensor([quality_score(luma) for luma in fused[:, 0].float().cpu().numpy()])


class ClipJudge:
    """CLIP between sentences for and against quality, as published.

    ``Q = sigmoid(s (cos(I, T+) - cos(I, T-)))`` with the model's own logit scale s; the paper
    has none (s = 1), which leaves all scores within .02 of .5. The two positive sentences that the
    paper prints among the negative ones are left out.

    Args:
        weights: Folder or hub name of a CLIP; the default when empty.
        device: Where it runs.

    Raises:
        MissingExtraError: transformers is not installed.
        WeightsError: The weights are not on this machine.
    """

    def __init__(self, weights: str, device: torch.device) -> None:
        self._provider = ClipProvider(weights, device.type)

    def score(self, fused: Tensor, thermal: Tensor, visible: Tensor) -> Tensor:  # noqa: ARG002
        """Return the scores; the sources are not looked at."""
        pictures = (fused.clamp(0, 1) * 255).round().byte().cpu().numpy()
        qualities = [
            self._provider.assess(np.repeat(picture[0, :, :, None], 3, 2), None).quality
            for picture in pictures
        ]
        return torch.tensor(qualities, dtype=torch.float32, device=fused.device)


@torch.inference_mode()
def score_fused(model: LumaFuser, pictures: Sequence[UInt8Image]) -> tuple[float, ...]:
    """Return the robot's scores of what a network makes of whole pictures, to four digits.

    Args:
        model: Network in evaluation mode; reads its own slots.
        pictures: Planes of pairs, see :func:`pair_planes`; of more than a bank remembers, as many,
            spread evenly.
    """
    count = min(len(pictures), HISTORY)
    scores = []
    indices = np.linspace(0, len(pictures) - 1, count).round().astype(int).tolist()
    for index in tqdm(indices, desc="scores", leave=False, dynamic_ncols=True, disable=None):
        batch = whole_pair_batch(pictures[index])
        thermal, visible = (plane.to(model.bank.device) for plane in batch[:2])
        fused = model.forward_luma(thermal, visible).fused[0, 0]
        scores.append(round(quality_score(fused.float().cpu().numpy()), 4))
    return tuple(scores)


def open_judge(name: JudgeName, weights: str, device: torch.device, seed: int) -> Judge:
    """Return a judge by name.

    Args:
        name: One of ``JudgeName``.
        weights: Folder or hub name for ``clip``.
        device: Where it runs.
        seed: Seed of what is trained along.

    Raises:
        MissingExtraError: The package that runs it is not installed.
        WeightsError: Its weights are not on this machine.
    """
    if name == "clip":
        return ClipJudge(weights, device)
    if name == "discriminator":
        return Discriminator(seed).to(device)
    return Handcrafted()
