"""How far each rule is taken: what the text says, and what the transformer finds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fusion_core.models.mmaif.config import TASKS, MMAIFConfig
from fusion_core.models.mmaif.measuring import EVIDENCE
from fusion_core.models.mmaif.rules import RULES
from fusion_core.models.mmaif.transformer import Asked, Latent
from fusion_core.models.mmaif.weather import SIGNS
from fusion_core.sentences import DEGRADATIONS

PLACED: Final = ("noise", "blocks", "drops", "veil")
"""Rules that differ from place to place; the others are for the whole picture."""
_FREE: Final = 2  # logarithms: of the noise's measure, of a gamma
_HIDDEN: Final = 64
_CLOSED: Final = -5.0
_SAID: Final = 14.3  # a wish of 0.35 opens by half, one of 0.7 fully
_NEVER: Final = -20.0
_OF_AIR: Final = frozenset({"veil", "drops"})
_OF_THERMAL: Final = frozenset({"stripes", "noise", "blocks", "flat"})


class Controls(NamedTuple):
    """How far the rules are taken in ``N`` pictures of ``B`` sets.

    Attributes:
        placed: ``NxBxPxhxw`` logits of the rules in ``PLACED``, and the logarithm by which the
            noise is larger than measured.
        whole: ``NxBxRx1x1`` logits of all rules in the order of ``RULES``, and the logarithm of a
            gamma.
    """

    placed: Tensor
    whole: Tensor


class RuleControls(nn.Module):
    """Reads the first token of the text, what is measured, and the tokens of the transformer.

    The first token of the embedded encoder is the wish itself: of the degradations that a rule is
    for the one that is most wished away opens it. Where nothing is said, a learned wish does, and
    what is measured on a picture says what is there; only what is in the air of a pair is taken
    away unasked. The transformer's tokens add to that, per picture and place. Untrained, measures
    and tokens add nothing.

    Args:
        config: Architecture.
    """

    asks: Tensor

    def __init__(self, config: MMAIFConfig) -> None:
        super().__init__()
        rules = list(RULES)
        self._read = [
            [DEGRADATIONS.index(kind) % config.text for kind in kinds] for kinds in RULES.values()
        ]
        self.closed = nn.Parameter(torch.full((len(TASKS), 2, len(rules)), _CLOSED))
        self.said = nn.Parameter(torch.full((len(rules),), _SAID))
        with torch.no_grad():
            for place, rule in enumerate(rules):
                if rule not in _OF_THERMAL:
                    self.closed[0, 1, place] = _NEVER
            self.closed[:, 0, rules.index("stripes")] = _NEVER
        inputs = 2 * EVIDENCE + len(TASKS) + SIGNS
        self.there = nn.ModuleList(
            nn.Sequential(nn.Linear(inputs, _HIDDEN), nn.SiLU(), nn.Linear(_HIDDEN, len(rules)))
            for _ in range(2)
        )
        # MdaIF's experts leave a clear view as it is: of pairs nothing need be found for them. A
        # stretch that is not needed does more harm than one that is missing.
        asks = torch.tensor(
            [
                [rule != "flat" and (task != "vif" or rule not in _OF_AIR) for rule in rules]
                for task in TASKS
            ]
        )
        self.register_buffer("asks", asks.float(), persistent=False)
        for role in self.there:
            nn.init.zeros_(role[-1].weight)  # type: ignore[index]
            nn.init.zeros_(role[-1].bias)  # type: ignore[index]
        self.head = nn.Conv2d(config.width, 2 * (len(rules) + _FREE), 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(
        self, latent: Latent, asked: Asked, evidence: Sequence[Tensor], signs: Tensor
    ) -> Controls:
        """Return how far the rules are taken.

        Args:
            latent: What the transformer made.
            asked: What is wanted.
            evidence: ``BxEVIDENCExhxw`` of each picture of a set.
            signs: ``MxBxSIGNS`` of weather in the first ``M`` pictures; the others have none.
        """
        found = torch.stack(self.head(latent.hidden).float().chunk(2, 1))
        wished = torch.stack([asked.text[:, 0, kinds].amax(-1) for kinds in self._read], -1)
        closed = self.closed[TASKS.index(asked.task)][:, None]
        roles: Sequence[int] = [min(index, 1) for index in range(len(evidence))]
        found, closed = found[roles], closed[roles]
        none = signs.new_zeros(len(evidence) - len(signs), *signs.shape[1:])
        there = torch.stack(
            [
                self._there(part, sign, asked.task, role)
                for part, sign, role in zip(evidence, torch.cat((signs, none)), roles, strict=True)
            ]
        )
        there = there * self.asks[TASKS.index(asked.task)] * (1 - asked.said.float()[:, None])
        opened = (closed + self.said * wished.float() + there)[..., None, None]
        rules = len(RULES)
        logits = found[:, :, :rules] + opened
        placed = [list(RULES).index(name) for name in PLACED]
        free = found[:, :, rules:]
        mean = torch.cat((logits, free[:, :, 1:]), 2).mean((3, 4), keepdim=True)
        placed_logits = torch.cat((logits[:, :, placed], free[:, :, :1]), 2)
        return Controls(placed_logits, mean)

    def _there(self, evidence: Tensor, signs: Tensor, task: str, role: int) -> Tensor:
        """Return ``BxR`` logits of what the measures of a picture say is there."""
        number = evidence.new_tensor(TASKS.index(task), dtype=torch.long)
        which = F.one_hot(number, len(TASKS)).expand(len(evidence), -1)
        inputs = (evidence.mean((2, 3)), evidence.amax((2, 3)), which, signs)
        with torch.autocast(evidence.device.type, enabled=False):
            found: Tensor = self.there[role](torch.cat([part.float() for part in inputs], 1))
        return found
