"""How far each rule is taken: what the text says, and what the transformer finds."""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from torch import Tensor, nn

from fusion_core.models.features import VISIBLE_INFRARED
from fusion_core.models.mmaif.config import TASKS, MMAIFConfig
from fusion_core.models.mmaif.rules import RULES
from fusion_core.models.mmaif.transformer import Latent
from fusion_core.sentences import DEGRADATIONS

PLACED: Final = ("noise", "blocks", "drops", "veil")
"""Rules that differ from place to place; the others are for the whole picture."""
_FREE: Final = 2  # logarithms: of the noise's measure, of a gamma
_TONES: Final = (*map(list(RULES).index, ("dark", "bright", "flat")), len(RULES) + 1)
"""Channels of the tokens' part that are tones of the whole picture."""
_CLOSED: Final = -5.0
_SAID: Final = 14.3  # a wish of 0.35 opens by half, one of 0.7 fully
_NEVER: Final = -20.0
_LEAST: Final = 1e-3
_OF_THERMAL: Final = frozenset({"stripes", "noise", "blocks", "flat"})


class Controls(NamedTuple):
    """How far the rules are taken in ``N`` pictures of ``B`` sets.

    Attributes:
        placed: ``NxBxPxhxw`` logits of the rules in ``PLACED``, and the logarithm by which the
            noise is larger than measured.
        whole: ``NxBxRx1x1`` logits of all rules in the order of ``RULES``, and the logarithm of a
            gamma.
        falling: ``NxBx1x1x1`` in [0, 1], share of rain and snow in the opening of the veil.
    """

    placed: Tensor
    whole: Tensor
    falling: Tensor


class RuleControls(nn.Module):
    """Opens rules by what is to go, and by the tokens of the transformer.

    Of the degradations that a rule is for the one that is most to go opens it. The transformer's
    tokens add to that, per picture and place, but for the tones of pairs: there they made dark
    scenes too bright. Untrained they add nothing.

    Args:
        config: Architecture.
    """

    def __init__(self, config: MMAIFConfig) -> None:
        super().__init__()
        rules = list(RULES)
        self._read = [[DEGRADATIONS.index(kind) for kind in kinds] for kinds in RULES.values()]
        self.closed = nn.Parameter(torch.full((len(TASKS), 2, len(rules)), _CLOSED))
        self.said = nn.Parameter(torch.full((len(rules),), _SAID))
        with torch.no_grad():
            for place, rule in enumerate(rules):
                if rule not in _OF_THERMAL:
                    self.closed[0, 1, place] = _NEVER
            self.closed[:, 0, rules.index("stripes")] = _NEVER
        self.head = nn.Conv2d(config.width, 2 * (len(rules) + _FREE), 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(self, latent: Latent, removed: Tensor, task: str) -> Controls:
        """Return how far the rules are taken.

        Args:
            latent: What the transformer made.
            removed: ``NxBxK`` in [0, 1], how far each of ``DEGRADATIONS`` is to go from each
                picture.
            task: One of ``TASKS``.
        """
        number, rules = len(removed), len(RULES)
        roles = [min(index, 1) for index in range(number)]
        found = torch.stack(self.head(latent.hidden).float().chunk(2, 1))[roles]
        if task == VISIBLE_INFRARED:
            found = found.index_fill(2, torch.tensor(_TONES, device=found.device), 0.0)
        wished = torch.stack([removed[..., kinds].amax(-1) for kinds in self._read], -1)
        closed = self.closed[TASKS.index(task)][roles][:, None]
        opened = (closed + self.said * wished.float())[..., None, None]
        logits = found[:, :, :rules] + opened
        placed = [list(RULES).index(name) for name in PLACED]
        free = found[:, :, rules:]
        mean = torch.cat((logits, free[:, :, 1:]), 2).mean((3, 4), keepdim=True)
        placed_logits = torch.cat((logits[:, :, placed], free[:, :, :1]), 2)
        drops, veil = (wished[..., list(RULES).index(name)] for name in ("drops", "veil"))
        falling = drops / veil.clamp_min(_LEAST)
        return Controls(placed_logits, mean, falling[..., None, None, None])
