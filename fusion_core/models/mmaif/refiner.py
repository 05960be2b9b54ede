"""The pixel network: the sources' own pixels, restored, weighed and joined as the latent says."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fusion_core.models.mmaif.config import TASKS, MMAIFConfig
from fusion_core.models.mmaif.controls import PLACED, Controls
from fusion_core.models.mmaif.measuring import Measured
from fusion_core.models.mmaif.planes import enlarged
from fusion_core.models.mmaif.rules import (
    RULES,
    power_of,
    stretched,
    toned,
    without_weather,
)
from fusion_core.models.mmaif.shrinkage import Shrinkage
from fusion_core.models.mmaif.transformer import Latent
from fusion_core.models.mmaif.weather import Weather

GRID: Final = 32
"""Height and width of what it sees are multiples of this."""
_CLUES: Final = 2
_FLAT: Final = 0.004
# Of a picture's pixel: residual, shares in luma and chroma, logit of drops.
_MAPS: Final = 6
# Of a place: gain and offset of luma, gain of chroma, its offsets, logit of a veil.
_TONES: Final = 6
_RULE: Final = {name: place for place, name in enumerate(RULES)}
_AT: Final = {name: place for place, name in enumerate(PLACED)}
# What speaks for a picture before training, by task: brightness, good exposure, fine and coarse
# detail.
_SPEAKS: Final = ((3.0, 0.0, 0.0, 0.5), (0.0, 2.0, 0.0, 0.5), (0.0, 0.0, 3.0, 1.0))
_WELL: Final = 0.2  # deviation of well-exposedness of Mertens et al. 2007


Edge = Literal["zeros", "replicate"]


class Told(NamedTuple):
    """What a restoration follows.

    Attributes:
        wish: ``BxD`` of what is wanted.
        latent: What the transformer made.
        controls: How far the rules are taken.
    """

    wish: Tensor
    latent: Latent
    controls: Controls


class Refined(NamedTuple):
    """What becomes of ``B`` sets of ``N`` pictures.

    Attributes:
        fused: ``Bx3xHxW`` luma, Cb and Cr of the result, not clipped; of ``vif`` those of the first
            picture alone.
        sources: ``NxBx3xHxW`` the pictures as restored on the way, not clipped.
    """

    fused: Tensor
    sources: Tensor


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
        y = torch.addcmul(shift, self.first(x), 1 + scale).relu_()
        return torch.addcmul(x, self.scale.to(x), self.second(y))


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
        # Picture by picture: reductions over so few are slow.
        mean = functools.reduce(torch.add, parts) / number
        most = functools.reduce(torch.maximum, parts)
        joined = self.join(torch.cat((mean, most), 1))
        out: Tensor = (parts + joined).flatten(0, 1)
        return out


class Refiner(nn.Module):
    """Rules first, then a small network in which the pictures of a set exchange what they see.

    The rules restore every picture as far as they are told. The network, at strides 2, 4 and 8,
    sees the pictures, what the first rules changed, what experts see through the weather, and what
    the dark channel takes for haze. Per place of stride 8 it finds a gain and an offset for every
    picture, and how much more of a veil goes; for every picture a gamma; per pixel what is a drop,
    a residual, and a share in the result. The wish steers all of it, the latent and the
    transformer's tokens what is found per place: tokens that steered the tones of whole pictures
    did harm. Untrained it weighs the pictures by plain evidence of their task. Of ``vif`` the
    restored pictures are all there is: another network fuses them.

    Args:
        config: Architecture.
    """

    def __init__(self, config: MMAIFConfig) -> None:
        super().__init__()
        low, middle, high = config.refine
        wish = self.wish = config.width
        self.roles = nn.Parameter(0.02 * torch.randn(len(TASKS), 2, wish))
        self.speaks = nn.Parameter(torch.tensor(_SPEAKS))
        self.luma, self.colours = Shrinkage(), Shrinkage()
        self.enter = nn.Conv2d(4 * 3 + _CLUES, low, 3, padding=1)
        self.seen = nn.Conv2d(2 * 4 + 2, low, 3, padding=1)
        self.down = nn.ModuleList((nn.Conv2d(low, middle, 2, 2), nn.Conv2d(middle, high, 2, 2)))
        self.looks = _levels((low, middle, high), (1, 2, 2), wish)
        self.exchanges = nn.ModuleList(Exchange(width) for width in (low, middle, high))
        self.guide = nn.Conv2d(config.channels + wish, high, 1)
        self.up = nn.ModuleList((nn.Conv2d(high, 4 * middle, 1), nn.Conv2d(middle, 4 * low, 1)))
        self.makes = _levels((low, middle), (1, 2), wish)
        self.tone = nn.Conv2d(high, _TONES, 3, padding=1, padding_mode="replicate")
        self.gamma = nn.Linear(wish, 1)
        self.head = nn.Conv2d(low, 4 * _MAPS, 3, padding=1)
        for layer in (self.seen, self.tone, self.head, self.gamma):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(
        self,
        pictures: Sequence[Tensor],
        measured: Sequence[Measured],
        weather: Weather,
        told: Told,
        task: str,
    ) -> Refined:
        """Restore and join.

        Args:
            pictures: ``Bx3xHxW`` luma, Cb and Cr in [0, 1], multiples of 32 high and wide.
            measured: What is measured on each of them.
            weather: What experts see through the weather: of the first pictures, of tasks other
                than ``vif`` of all pictures, one after the other.
            told: What is wanted and found; latent, tokens and controls cover the same view.
            task: One of ``TASKS``.
        """
        number = len(pictures)
        stack = torch.cat(list(pictures))
        seen = Measured(*(torch.cat(parts) for parts in zip(*measured, strict=True)))
        placed, whole, falling = (part.flatten(0, 1) for part in told.controls)
        placed = enlarged(placed, [edge // 8 for edge in stack.shape[-2:]])
        controls = Controls(placed, whole, falling)
        gates = whole[:, : len(RULES)].sigmoid()
        cleared = self._cleared(stack, seen, placed, gates, len(weather.clear))
        wishes = self._wishes(told.wish, number, task)
        x = self._look(stack, self._noticed(stack, cleared, seen, weather), told.latent, wishes)
        tone = self.tone(x[2]).float()
        for level in (1, 0):
            grown = F.pixel_shuffle(self.up[1 - level](x[level + 1]), 2)
            x[level] = x[level] + grown
            x[level] = self.makes[level](x[level], wishes)
        maps = F.pixel_shuffle(self.head(x[0]), 2).float()
        found = self._aired(cleared, weather, controls, tone, maps)
        power = self.gamma(wishes).float()[..., None, None] + whole[:, len(RULES) :]
        found = _lit(found, seen, gates, power)
        found = _in_tone(found, enlarged(tone[:, :5], stack.shape[-2:])) + maps[:, :3]
        sources = _sets(found, number)
        if task == "vif":
            return Refined(sources[0], sources)
        shares = _sets(maps[:, 3:5] + self._evidence(stack, task), number).softmax(0)
        luma, chroma = shares[:, :, :1], shares[:, :, 1:].expand(-1, -1, 2, -1, -1)
        return Refined((torch.cat((luma, chroma), 2) * sources).sum(0), sources)

    def _aired(
        self, planes: Tensor, weather: Weather, controls: Controls, tone: Tensor, maps: Tensor
    ) -> Tensor:
        """Return the pictures without what is in the air, as many as ``weather`` is of."""
        size, count, placed = planes.shape[-2:], len(weather.clear), controls.placed
        veil = enlarged(placed[:count, [_AT["veil"]]] + tone[:count, 5:], size).sigmoid()
        drops = (enlarged(placed[:count, [_AT["drops"]]], size) + maps[:count, 5:]).sigmoid()
        found = without_weather(planes[:count], weather, veil, drops, controls.falling[:count])
        return torch.cat((found, planes[count:]))

    def _cleared(
        self, stack: Tensor, seen: Measured, placed: Tensor, gates: Tensor, coloured: int
    ) -> Tensor:
        """Return the pictures without stripes, noise and blocks; colours of the first only."""
        luma = stack[:, :1] - gates[:, [_RULE["stripes"]]] * seen.columns
        noise = placed[:, [_AT["noise"]]].sigmoid() * seen.noise * placed[:, -1:].exp()
        blocks = placed[:, [_AT["blocks"]]].sigmoid()
        luma = self.luma(luma, noise, blocks)
        colours = F.avg_pool2d(stack[:coloured, 1:], 2)
        both = colours.flatten(0, 1)[:, None]
        twice = [part[:coloured].repeat_interleave(2, 0) for part in (noise, blocks)]
        change = (self.colours(both, *twice) - both).reshape(colours.shape)
        chroma = stack[:, 1:]
        changed = chroma[:coloured] + enlarged(change, chroma.shape[-2:])
        return torch.cat((luma, torch.cat((changed, chroma[coloured:]))), 1)

    def _noticed(self, stack: Tensor, cleared: Tensor, seen: Measured, weather: Weather) -> Tensor:
        """Return what rules, experts and the dark channel found, at stride 2.

        What has no colours sees no weather.
        """
        changed = F.pixel_unshuffle(cleared[:, :1] - stack[:, :1], 2)
        count = len(weather.clear)
        behind = F.pixel_unshuffle(weather.clear - stack[:count, :1], 2)
        slope = enlarged(weather.line[:, :1] - 1, behind.shape[-2:])
        air = torch.cat((4 * behind, slope), 1)
        nothing = air.new_zeros(len(stack) - count, *air.shape[1:])
        line = enlarged(seen.veil, cleared.shape[-2:])
        passed = (line[:, :1] * cleared[:, :1] + line[:, 1:]).clamp(0, 1)
        return torch.cat((8 * changed, torch.cat((air, nothing)), F.avg_pool2d(passed, 2)), 1)

    def _evidence(self, stack: Tensor, task: str) -> Tensor:
        """Return ``(N B)x1xHxW``, what plain evidence says for the pictures."""
        luma = stack[:, :1]
        well = -((luma - 0.5) ** 2) / (2 * _WELL**2)
        detail = F.interpolate(clues(luma), scale_factor=2, mode="bilinear", align_corners=False)
        found = torch.cat((luma, well, detail), 1)
        weights = self.speaks[TASKS.index(task)][:, None, None]
        return (found * weights).sum(1, keepdim=True)

    def _wishes(self, wish: Tensor, number: int, task: str) -> Tensor:
        """Return the vector of every picture of the sets, ``(N B)xD``."""
        roles = self.roles[TASKS.index(task)]
        return torch.cat([wish + roles[min(index, 1)] for index in range(number)])

    def _look(self, stack: Tensor, noticed: Tensor, latent: Latent, wishes: Tensor) -> list[Tensor]:
        """Return features at the three strides."""
        number = len(stack) // len(latent.made)
        x = self.enter(torch.cat((F.pixel_unshuffle(stack - 0.5, 2), clues(stack[:, :1])), 1))
        x = x + self.seen(noticed)
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


def _lit(planes: Tensor, seen: Measured, gates: Tensor, power: Tensor) -> Tensor:
    """Return the pictures under a gamma, and stretched."""
    dark, bright, flat = (gates[:, [_RULE[name]]] for name in ("dark", "bright", "flat"))
    power = (power + power_of(seen, dark, bright)).exp()
    return stretched(toned(planes, power), seen, power, flat)


def _in_tone(planes: Tensor, tone: Tensor) -> Tensor:
    """Return the pictures with gain and offset of luma, gain and offsets of chroma."""
    luma = planes[:, :1] * tone[:, 0:1].exp() + tone[:, 1:2]
    chroma = (planes[:, 1:] - 0.5) * tone[:, 2:3].exp() + 0.5 + tone[:, 3:5]
    return torch.cat((luma, chroma), 1)


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
    return torch.cat([enlarged(part, size) for part in (latent.made, latent.hidden)], 1)


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
