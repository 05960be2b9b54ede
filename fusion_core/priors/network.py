"""The embedded network: one small network per modality, with a head per degradation."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

from fusion_core.priors.inputs import STATISTICS
from fusion_core.priors.kinds import kinds_of
from fusion_core.priors.tokens import DIM, TOKEN_GRID
from fusion_core.types import Modality

SEEN: Final = DIM + STATISTICS
"""How many numbers the heads take."""
_WIDTH = 64


class PriorNet(nn.Module):
    """Classifies degradations from an image's thumbnail, details and statistics.

    The tokens describe the thumbnail at 4x4 places, each together with the details of the whole
    image; the heads take their mean, and once more the statistics.

    Args:
        modality: Whose degradations it classifies.
    """

    mean: Tensor
    deviation: Tensor
    slope: Tensor
    offset: Tensor

    def __init__(self, modality: Modality) -> None:
        super().__init__()
        self.kinds = kinds_of(modality)
        channels = 3 if modality == "visible" else 1
        self.scene = nn.Sequential(
            *_halve(channels, 16), *_halve(16, 32), *_halve(32, 64), *_halve(64, DIM)
        )
        self.pool = nn.AdaptiveAvgPool2d(TOKEN_GRID)
        self.detail = nn.Sequential(
            nn.Conv2d(1, 16, 5, stride=2, padding=2), nn.ReLU(), *_halve(16, 24), *_halve(24, 32)
        )
        self.numbers = nn.Sequential(nn.Linear(STATISTICS, _WIDTH), nn.ReLU())
        self.whole = nn.Sequential(
            nn.Dropout(0.1), nn.Linear(2 * 32 + _WIDTH, DIM), nn.ReLU(), nn.Linear(DIM, DIM)
        )
        self.head = nn.Sequential(nn.Linear(SEEN, DIM), nn.ReLU(), nn.Dropout(0.1))
        self.degradations = nn.Linear(DIM, len(self.kinds))
        self.quality = nn.Linear(DIM, 1)
        # Of the training data; and Platt's scaling of the logits, found on scenes held out.
        self.register_buffer("mean", torch.zeros(STATISTICS))
        self.register_buffer("deviation", torch.ones(STATISTICS))
        self.register_buffer("slope", torch.ones(len(self.kinds)))
        self.register_buffer("offset", torch.zeros(len(self.kinds)))

    def forward(
        self, thumb: Tensor, crops: Tensor, statistics: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Classify ``B`` images.

        Args:
            thumb: ``BxCx96x128`` in [0, 1].
            crops: ``BxNx64x64`` in [0, 1], any number of them.
            statistics: ``BxSTATISTICS``.

        Returns:
            ``BxK`` logits before calibration, ``B`` logits of quality, ``Bx16x128`` tokens.
        """
        seen, tokens = self.look(thumb, crops, statistics)
        return (*self.judge(seen), tokens)

    def look(self, thumb: Tensor, crops: Tensor, statistics: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the heads take, ``BxSEEN``, and the tokens, of the inputs above."""
        scene = self.pool(self.scene(thumb - 0.5)).flatten(2).transpose(1, 2)
        detail = self.detail(crops.flatten(0, 1)[:, None] - 0.5)
        found = torch.cat((detail.mean((2, 3)), detail.amax((2, 3))), 1)
        normal = ((statistics - self.mean) / self.deviation).clamp(-5, 5)
        numbers = self.numbers(normal)
        whole = self.whole(torch.cat((found.view(*crops.shape[:2], -1).mean(1), numbers), 1))
        tokens = torch.relu(scene + whole[:, None])
        return torch.cat((tokens.mean(1), normal), 1), tokens

    def judge(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``BxK`` logits and ``B`` logits of quality for what the heads take."""
        summary = self.head(seen)
        return self.degradations(summary), self.quality(summary)[:, 0]

    def probabilities(self, logits: Tensor) -> Tensor:
        """Return calibrated probabilities of raw logits (Platt 1999)."""
        return torch.sigmoid(self.slope * logits + self.offset)


def _halve(inputs: int, outputs: int) -> list[nn.Module]:
    """Return a convolution that halves the grid."""
    return [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.ReLU()]
