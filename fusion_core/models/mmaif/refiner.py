"""The pixel network: the sources' own pixels, restored, weighed and joined as the latent says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fusion_core.models.mmaif.config import TASKS, MMAIFConfig
from fusion_core.models.mmaif.filters import FILTERED, filtered
from fusion_core.models.mmaif.transformer import Latent

GRID: Final = 32
"""Height and width of what it sees are multiples of this."""
_CLUES: Final = 2
_FLAT: Final = 0.004
# Of a picture's pixel: residual, shares in luma and chroma, and how far each filter is taken.
_MAPS: Final = 5 + FILTERED
_TONES: Final = 5  # of a place: gain and offset of luma, gain of chroma, its offsets
_NEVER: Final = -30.0
_DARKEST: Final = 1e-3
# What speaks for a picture before training, by task: brightness, good exposure, fine and coarse
# detail.
_SPEAKS: Final = ((3.0, 0.0, 0.0, 0.5), (0.0, 2.0, 0.0, 0.5), (0.0, 0.0, 3.0, 1.0))
_WELL: Final = 0.2  # deviation of well-exposedness of Mertens et al. 2007


Edge = Literal["zeros", "replicate"]


class Refined(NamedTuple):
    """What becomes of ``B`` sets of ``N`` pictures.

    Attributes:
        fused: ``Bx3xHxW`` luma, Cb and Cr of the result, not clipped.
        sources: ``NxBx3xHxW`` the pictures as restored on the way, not clipped.
        shares: ``NxBx2xHxW`` shares of the pictures in luma and in chroma, sum 1.
    """

    fused: Tensor
    sources: Tensor
    shares: Tensor


class ModulatedBlock(nn.Module):
    """Two 3x3 convolutions whose channels the wish scales and shifts; starts near the identity.

    Args:
        width: Channels.
        wish: Channels of the vector that modulates.
        edge: What lies beyond the border: ``zeros``, or ``replicate``.
    """

    def __init__(self, width: int, wish: int, *, edge: Edge = "zeros") -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1, padding_mode=edge)
        self.affine = nn.Linear(wish, 2 * width)
        self.second = nn.Conv2d(width, width, 3, padding=1, padding_mode=edge)
        self.scale = nn.Parameter(torch.full((width, 1, 1), 0.1))
        nn.init.zeros_(self.affine.weight)
        nn.init.zeros_(self.affine.bias)

    def forward(self, x: Tensor, wish: Tensor) -> Tensor:
        """Return ``BxCxhxw``."""
        scale, shift = self.affine(wish)[..., None, None].to(x).chunk(2, 1)
        y = F.relu(torch.addcmul(shift, self.first(x), 1 + scale))
        out: Tensor = x + self.scale.to(x) * self.second(y)
        return out


class ModulatedBlocks(nn.ModuleList):
    """Blocks one after the other under one wish."""

    def forward(self, x: Tensor, wish: Tensor) -> Tensor:
        """Return ``BxCxhxw``; see :class:`ModulatedBlock`."""
        for block in self:
            x = block(x, wish)
        return x


class Exchange(nn.Module):
    """Let every picture of a set see mean and largest of all of them; adds nothing at first.

    Args:
        width: Channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.join = nn.Conv2d(2 * width, width, 1)
        nn.init.zeros_(self.join.weight)
        nn.init.zeros_(self.join.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, number: int) -> Tensor:
        """Return ``(N B)xCxhxw`` of the same shape, for sets of ``N``."""
        parts = _sets(x, number)
        joined = self.join(torch.cat((parts.mean(0), parts.amax(0)), 1))
        out: Tensor = (parts + joined).flatten(0, 1)
        return out


class Refiner(nn.Module):
    """A small network at strides 2, 4 and 8 in which the pictures of a set exchange what they see.

    Per place of stride 8 it finds a gain and an offset for every picture, which clear a veil or
    light the dark, and for every picture a gamma; per pixel how far plain filters are taken, a
    residual, and a share in the result. The latent, the transformer's tokens and the wish steer
    it. Untrained it weighs the pictures by plain evidence of their task, and takes the colours of
    the first for ``vif``.

    Args:
        config: Architecture.
    """

    def __init__(self, config: MMAIFConfig) -> None:
        super().__init__()
        low, middle, high = config.refine
        wish = self.wish = config.width
        self.roles = nn.Parameter(0.02 * torch.randn(len(TASKS), 2, wish))
        self.overall = nn.Linear(wish, wish)
        self.speaks = nn.Parameter(torch.tensor(_SPEAKS))
        self.enter = nn.Conv2d(4 * 3 + _CLUES, low, 3, padding=1)
        self.down = nn.ModuleList((nn.Conv2d(low, middle, 2, 2), nn.Conv2d(middle, high, 2, 2)))
        self.looks = _levels((low, middle, high), (1, 2, 2), wish)
        self.exchanges = nn.ModuleList(Exchange(width) for width in (low, middle, high))
        self.guide = nn.Conv2d(config.channels + wish, high, 1)
        self.up = nn.ModuleList((nn.Conv2d(high, 4 * middle, 1), nn.Conv2d(middle, 4 * low, 1)))
        self.makes = _levels((low, middle), (1, 2), wish)
        self.tone = nn.Conv2d(high, _TONES, 3, padding=1, padding_mode="replicate")
        self.gamma = nn.Linear(wish, 1)
        self.head = nn.Conv2d(low, 4 * _MAPS, 3, padding=1)
        for layer in (self.tone, self.head, self.gamma):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(
        self,
        pictures: Sequence[Tensor],
        latent: Latent,
        wish: Tensor,
        task: str,
    ) -> Refined:
        """Restore and join.

        Args:
            pictures: ``Bx3xHxW`` luma, Cb and Cr in [0, 1], multiples of 32 high and wide.
            latent: What the transformer made; latent and tokens cover the same view.
            wish: ``BxD`` of what is wanted.
            task: One of ``TASKS``.
        """
        number = len(pictures)
        stack = torch.stack(list(pictures))
        wishes = self._wishes(wish + self.overall(latent.overall), number, task)
        x = self._look(stack, latent, wishes)
        tone = F.interpolate(
            self.tone(x[2]).float(), scale_factor=8, mode="bilinear", align_corners=False
        )
        for level in (1, 0):
            grown = F.pixel_shuffle(self.up[1 - level](x[level + 1]), 2)
            x[level] = x[level] + grown
            x[level] = self.makes[level](x[level], wishes)
        maps = F.pixel_shuffle(self.head(x[0]), 2).float()
        tone, maps = _sets(tone, number), _sets(maps, number)
        sources = self._restored(stack, wishes, tone, maps)
        return _join(sources, maps[:, :, 3:5] + self._evidence(stack, task), task)

    def _restored(self, stack: Tensor, wishes: Tensor, tone: Tensor, maps: Tensor) -> Tensor:
        """Return ``NxBx3xHxW`` pictures: filtered, lit, cleared of what veils them, corrected."""
        number = len(stack)
        luma = stack[:, :, :1].flatten(0, 1)
        taken = maps[:, :, 5:].flatten(0, 1)
        luma = luma + (taken * (filtered(luma) - luma)).sum(1, keepdim=True)
        power = self.gamma(wishes).float()[..., None, None].exp()
        luma = _sets(luma.clamp(_DARKEST, 1) ** power, number)
        luma = luma * tone[:, :, 0:1].exp() + tone[:, :, 1:2]
        chroma = (stack[:, :, 1:] - 0.5) * tone[:, :, 2:3].exp() + 0.5 + tone[:, :, 3:5]
        return torch.cat((luma, chroma), 2) + maps[:, :, :3]

    def _evidence(self, stack: Tensor, task: str) -> Tensor:
        """Return ``NxBx1xHxW``, what plain evidence says for the pictures."""
        luma = stack[:, :, :1].flatten(0, 1)
        well = -((luma - 0.5) ** 2) / (2 * _WELL**2)
        detail = F.interpolate(clues(luma), scale_factor=2, mode="bilinear", align_corners=False)
        found = torch.cat((luma, well, detail), 1)
        weights = self.speaks[TASKS.index(task)][:, None, None]
        return _sets((found * weights).sum(1, keepdim=True), len(stack))

    def _wishes(self, wish: Tensor, number: int, task: str) -> Tensor:
        """Return the vector of every picture of the sets, ``(N B)xD``."""
        roles = self.roles[TASKS.index(task)]
        return torch.cat([wish + roles[min(index, 1)] for index in range(number)])

    def _look(self, stack: Tensor, latent: Latent, wishes: Tensor) -> list[Tensor]:
        """Return features at the three strides."""
        number = len(stack)
        flat = stack.flatten(0, 1)
        x = self.enter(torch.cat((F.pixel_unshuffle(flat - 0.5, 2), clues(flat[:, :1])), 1))
        found = []
        for level in range(3):
            if level:
                x = self.down[level - 1](x)
            if level == 2:
                guide = self.guide(_together(latent, x.shape[-2:]))
                x = x + guide.repeat(number, 1, 1, 1)
            x = self.looks[level](x, wishes)
            x = self.exchanges[level](x, number)
            found.append(x)
        return found


def clues(luma: Tensor) -> Tensor:
    """Return ``Bx2xH/2xW/2`` how much fine and coarser detail is where, of luma ``Bx1xHxW``.

    Logarithms of mean absolute detail, scaled to about [-1, 2].
    """
    half = F.avg_pool2d(luma, 2)
    fine = F.avg_pool2d((luma - _blur(luma)).abs(), 2)
    coarse = (half - _blur(half)).abs()
    amount = torch.cat((_blur(fine), _blur(coarse)), 1)
    return ((amount + _FLAT).log() + 4) / 1.5


def _blur(x: Tensor) -> Tensor:
    return F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, stride=1)


def _together(latent: Latent, size: Sequence[int]) -> Tensor:
    """Return latent and tokens on one grid."""
    parts = [
        F.interpolate(part, tuple(size), mode="bilinear", align_corners=False)
        for part in (latent.made, latent.hidden)
    ]
    return torch.cat(parts, 1)


def _join(sources: Tensor, scores: Tensor, task: str) -> Refined:
    """Return what ``NxBx3xHxW`` restored pictures make together by ``NxBx2xHxW`` scores."""
    if task == "vif":
        # Only the first picture has colours.
        barred = torch.zeros_like(scores[:, :, 1:])
        barred[1:] = _NEVER
        scores = torch.cat((scores[:, :, :1], barred), 2)
    shares = scores.softmax(0)
    weights = torch.cat((shares[:, :, :1], shares[:, :, 1:].expand(-1, -1, 2, -1, -1)), 2)
    return Refined((weights * sources).sum(0), sources, shares)


def _sets(x: Tensor, number: int) -> Tensor:
    """Return ``NxBx...`` of ``(N B)x...``."""
    return x.reshape(number, -1, *x.shape[1:])


def _levels(widths: Sequence[int], counts: Sequence[int], wish: int) -> nn.ModuleList:
    return nn.ModuleList(
        ModulatedBlocks(
            ModulatedBlock(width, wish, edge="replicate" if level == 2 else "zeros")
            for _ in range(count)
        )
        for level, (width, count) in enumerate(zip(widths, counts, strict=True))
    )
