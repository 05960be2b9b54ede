"""Which degradations the pictures of a set show, and what is left of a wish by that."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fusion_core.models.mmaif.config import TASKS
from fusion_core.models.mmaif.measuring import Measured
from fusion_core.models.mmaif.statistics import STATISTICS
from fusion_core.models.mmaif.transformer import Asked
from fusion_core.models.mmaif.weather import SIGNS, Weather
from fusion_core.sentences import DEGRADATIONS, PLAIN

_HIDDEN: Final = 96
_LIMIT: Final = 5.0  # deviations beyond which a statistic tells no more
_RIGHT: Final = 0.75  # share of the sentences about one kind that are right about it
_USUAL: Final = 1.9  # kinds that a degraded picture shows, on average
_VEILS: Final = tuple(DEGRADATIONS.index(kind) for kind in ("haze", "smoke"))
_FALLING: Final = tuple(DEGRADATIONS.index(kind) for kind in ("rain", "snow"))
_NOISE: Final = DEGRADATIONS.index("noise")
_DARKNESS: Final = DEGRADATIONS.index("low_light")
_GLARE: Final = DEGRADATIONS.index("over_exposure")
_NIGHT, _DUSK = 0.25, 0.02  # mean of the luma below which it is night, and its soft rim
_KINDS: Final = len(DEGRADATIONS)
ROLES: Final = len(TASKS) + 1
"""Last inputs of a diagnosis: which task, and whether a picture is thermal."""


class Diagnosis(nn.Module):
    """Two layers on the statistics of a picture, and on the signs of weather in it.

    Exposures and focus settings show one scene through one camera: their logits are averaged. Haze
    and smoke look alike, and a picture shows one of them at most: each counts as both. Untrained
    all is as likely as usual.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        inputs = STATISTICS + SIGNS + ROLES
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("scale", torch.ones(inputs))
        self.enter = nn.Linear(inputs, _HIDDEN)
        self.leave = nn.Linear(_HIDDEN, _KINDS)
        nn.init.zeros_(self.leave.weight)
        nn.init.constant_(self.leave.bias, _usual_odds())

    def forward(self, measured: Sequence[Measured], weather: Weather, task: str) -> Tensor:
        """Return ``NxBxK`` logits of ``DEGRADATIONS`` for ``N`` pictures of ``B`` sets.

        Args:
            measured: Of every picture.
            weather: Of the first pictures, of tasks other than ``vif`` of all.
            task: One of ``TASKS``.
        """
        found = self.tell(clinical(measured, weather, task))
        if task != "vif":
            found = found.mean(0, keepdim=True).expand_as(found)
        veil = found[..., _VEILS].logsumexp(-1, keepdim=True)
        return _with(found, _VEILS, veil.expand(*veil.shape[:-1], 2))

    def tell(self, inputs: Tensor) -> Tensor:
        """Return ``...xK`` logits of :func:`clinical`, of every picture by itself."""
        with torch.autocast(inputs.device.type, enabled=False):
            x = ((inputs - self.mean) * self.scale).clamp(-_LIMIT, _LIMIT)
            found: Tensor = self.leave(F.silu(self.enter(x)))
        return found


def clinical(measured: Sequence[Measured], weather: Weather, task: str) -> Tensor:
    """Return what a diagnosis reads, ``NxBxI``: statistics, signs of weather, task and role."""
    statistics = torch.stack([part.statistics for part in measured]).float()
    number, batch = statistics.shape[:2]
    signs = weather.signs.float().reshape(-1, batch, SIGNS)
    signs = torch.cat((signs, signs.new_zeros(number - len(signs), batch, SIGNS)))
    role = statistics.new_zeros(number, batch, ROLES)
    role[..., TASKS.index(task)] = 1
    if task == "vif":
        role[1:, :, -1] = 1
    return torch.cat((statistics, signs, role), -1)


def night(measured: Sequence[Measured]) -> Tensor:
    """Return ``NxB`` in [0, 1], whether pictures are as dark as a night, for whatever reason."""
    means = torch.stack([part.levels[:, 1, 0, 0] for part in measured])
    return ((_NIGHT - means) / _DUSK).sigmoid()


def heard(asked: Asked, shown: Tensor, dark: Tensor) -> tuple[Asked, Tensor]:
    """Return what is wanted of pictures that show some degradations.

    A wish acts on what is there. What somebody names is likely to be there, the less so the more is
    named; where everything is, as where nothing is said, pictures alone tell what is there. A night
    is no fault and stays one, unless its darkness is named, and so is a bright day: its sky looks
    like an over-exposed one. What falls is left in noise that is to stay: the experts that take
    rain and snow away would take it along.

    Args:
        asked: What is said; the first token's first values are those of :meth:`Wish.vector`.
        shown: ``NxBxK`` logits of ``DEGRADATIONS``.
        dark: ``NxB``, see :func:`night`.

    Returns:
        The first token alone, with its removals as far as any picture shows their kind, and the
        removals ``NxBxK`` for every picture. Words tell nothing that the wish does not: sentences
        that mean the same are to act the same.
    """
    told = asked.text[:, 0, :_KINDS].float()
    trust = _trust(told)
    there = (shown + trust).sigmoid()
    meant = (trust / _trust(trust.new_ones(1, 1))).clamp_min(0).squeeze(1)
    lit = torch.maximum(there[..., _DARKNESS], dark * meant)
    there = _with(there, (_DARKNESS, _GLARE), torch.stack((lit, there[..., _GLARE] * meant), -1))
    there = _noise_kept(there, shown[..., _NOISE].sigmoid(), told)
    removed = told * there
    first = torch.cat((removed.amax(0).to(asked.text), asked.text[:, 0, _KINDS:]), -1)
    return asked._replace(text=first[:, None], weight=asked.weight[:, :1]), removed


def _noise_kept(there: Tensor, noisy: Tensor, told: Tensor) -> Tensor:
    """Return ``NxBxK`` in which nothing falls in noise that nobody wishes away."""
    kept = noisy * (1 - told[:, _NOISE] / PLAIN).clamp(0, 1)
    return _with(there, _FALLING, there[..., _FALLING] * (1 - kept[..., None]))


def _with(values: Tensor, kinds: Sequence[int], new: Tensor) -> Tensor:
    """Return values ``...xK`` in which those of some kinds are others."""
    return values.index_copy(-1, torch.tensor(kinds, device=values.device), new)


def _trust(told: Tensor) -> Tensor:
    """Return the logarithm ``Bx1`` by which a wish for removals raises the odds of what it names.

    Odds that a named kind is there, by those that any kind is.
    """
    named = told.sum(1, keepdim=True) / PLAIN
    there = (_USUAL / named.clamp_min(_USUAL)).clamp_max(_RIGHT)
    return there.logit() - _usual_odds()


def _usual_odds() -> float:
    """Return the logarithm of odds that a kind is there, when nothing is known."""
    return math.log(_USUAL / (_KINDS - _USUAL))
