"""Degraded pictures that crops are drawn from, renewed a few at a time."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from fusion_core.errors import UsageError
from fusion_core.priors import PriorProvider
from fusion_core.types import FloatImage, UInt8Image
from fusion_lab.data import Example
from fusion_lab.training.degradations import Degrader, sample_mixture
from fusion_lab.training.restoring.recipe import WEATHERS, RestoringRecipe

_SMALLEST = 0.6
# A clear day as a night: (k J)^gamma with k and the logarithm of gamma from these ranges.
_NIGHT_GAIN, _NIGHT_TONE = (0.4, 1.0), (0.5, 1.3)


@dataclass(frozen=True, slots=True)
class DegradedSample:
    """One whole picture, degraded.

    Attributes:
        planes: ``HxWx8`` uint8: degraded Y, Cb, Cr and thermal, clean Y, Cb, Cr and thermal.
        tokens: ``SxC`` of the prior on the degraded pair, empty without one.
        weather: Which of ``WEATHERS`` the visible picture got, in {0, 1}.
    """

    planes: UInt8Image
    tokens: FloatImage
    weather: FloatImage


@dataclass(frozen=True, slots=True)
class PairDegradation:
    """What is done to a pair: degradation kind -> severity per picture, and a seed."""

    visible: Mapping[str, float]
    thermal: Mapping[str, float]
    seed: int


class RestoringBatch(NamedTuple):
    """Crops, float32 in [0, 1].

    Attributes:
        degraded: ``Bx3xHxW`` Y, Cb and Cr.
        degraded_thermal: ``Bx1xHxW``.
        clean: ``Bx3xHxW`` Y, Cb and Cr.
        clean_thermal: ``Bx1xHxW``.
        tokens: ``BxSxC`` tokens of the prior on the whole degraded pictures, or on others.
        weather: ``BxK`` in {0, 1}, which of ``WEATHERS`` the pictures have that the prior saw.
    """

    degraded: Tensor
    degraded_thermal: Tensor
    clean: Tensor
    clean_thermal: Tensor
    tokens: Tensor
    weather: Tensor


class RestoringPool:
    """The newest ``recipe.pool`` of an endless row of samples.

    Sample ``i`` depends on the seed and ``i`` alone, so that a resumed run sees the same ones.

    Args:
        pictures: Clean pictures.
        recipe: How they are degraded.
        provider: Gives the tokens of the degraded pictures; None gives none.
        seed: Seed of the run.

    Raises:
        UsageError: A picture is smaller than a crop.
    """

    def __init__(
        self,
        pictures: Sequence[Example],
        recipe: RestoringRecipe,
        provider: PriorProvider | None,
        seed: int,
    ) -> None:
        self._pictures, self._recipe, self._seed = pictures, recipe, seed
        self._provider = provider
        for picture in pictures:
            height, width = picture.second.shape
            if min(height, width) < recipe.crop:
                raise UsageError(
                    f"{picture.scene} {picture.name}: {width}x{height} pixels, less than a crop of "
                    f"{recipe.crop}; leave it out or choose a smaller crop"
                )
        self._samples: deque[DegradedSample] = deque(maxlen=recipe.pool)
        self._next = 0

    def batch(self, step: int) -> RestoringBatch:
        """Return the crops of a step; they depend on nothing but the seed and the step."""
        last = step * self._recipe.fresh + self._recipe.pool
        self._next = max(self._next, last - self._recipe.pool)
        while self._next < last:
            self._samples.append(self.sample(self._next))
            self._next += 1
        rng = np.random.default_rng((self._seed, 1, step))
        order = [self._samples[index] for index in rng.permutation(len(self._samples)).tolist()]
        count = self._recipe.batch
        drawn, others = order[:count], order[::-1][:count]
        crops = np.stack([_crop(sample.planes, self._recipe.crop, rng) for sample in drawn])
        mistaken = rng.random(count) < self._recipe.mistaken
        seen = [b if wrong else a for a, b, wrong in zip(drawn, others, mistaken, strict=True)]
        tokens, weather = (
            torch.from_numpy(np.stack(values))
            for values in ([s.tokens for s in seen], [s.weather for s in seen])
        )
        return to_batch(crops, tokens, weather)

    def sample(self, index: int) -> DegradedSample:
        """Return one degraded picture."""
        recipe, rng = self._recipe, np.random.default_rng((self._seed, 0, index))
        picture = self._pictures[int(rng.integers(len(self._pictures)))]
        visible, thermal = _vary(picture, recipe, rng)
        severities = sample_mixture(
            rng,
            "visible",
            recipe.clean,
            recipe.largest,
            kinds=recipe.kinds,
            favoured=recipe.weather,
            favour=recipe.favour,
        )
        seed = int(rng.integers(2**31))
        of_thermal = sample_mixture(rng, "thermal", 1 - recipe.thermal, 2)
        degradation = PairDegradation(severities, of_thermal, seed)
        return degrade_pair(visible, thermal, degradation, self._provider)


def degrade_pair(
    visible: UInt8Image,
    thermal: UInt8Image,
    degradation: PairDegradation,
    provider: PriorProvider | None,
) -> DegradedSample:
    """Degrade a clean pair and assess it.

    Args:
        visible: ``HxWx3`` uint8 RGB.
        thermal: ``HxW`` uint8.
        degradation: What is done to them.
        provider: Gives the tokens; None gives none.
    """
    bad_visible = _degraded(visible, degradation.visible, degradation.seed)
    bad_thermal = _degraded(thermal, degradation.thermal, degradation.seed)
    tokens = np.zeros((0, 1), np.float32)
    if provider is not None:
        tokens = provider.assess(bad_visible, bad_thermal / np.float32(255)).tokens
    planes = np.dstack((to_planes(bad_visible), bad_thermal, to_planes(visible), thermal))
    weather = [any(kind in degradation.visible for kind in kinds) for kinds in WEATHERS]
    return DegradedSample(planes, tokens, np.asarray(weather, np.float32))


def to_planes(rgb: UInt8Image) -> UInt8Image:
    """Return RGB as Y, Cb, Cr (full-range BT.601), ``HxWx3`` uint8."""
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb)[..., [0, 2, 1]], np.uint8)


def to_batch(planes: UInt8Image, tokens: Tensor, weather: Tensor) -> RestoringBatch:
    """Return ``BxHxWx8`` planes of samples, with what the prior saw, as a batch."""
    stacked = torch.from_numpy(planes).permute(0, 3, 1, 2).float().div_(255)
    starts = (0, 3, 4, 7, 8)
    parts = (stacked[:, a:b].contiguous() for a, b in itertools.pairwise(starts))
    return RestoringBatch(*parts, tokens, weather)  # type: ignore[call-arg]


def _degraded(picture: UInt8Image, severities: Mapping[str, float], seed: int) -> UInt8Image:
    if not severities:
        return picture
    values = picture.astype(np.float32) / np.float32(255)
    return np.rint(Degrader(severities, seed).apply(values).image * 255).astype(np.uint8)


def _vary(
    picture: Example, recipe: RestoringRecipe, rng: np.random.Generator
) -> tuple[UInt8Image, UInt8Image]:
    """Scale, flip and tone a pair; never enlarge it, never below the size of a crop."""
    planes = np.dstack((picture.first, picture.second))
    height, width = picture.second.shape
    scale = max(rng.uniform(_SMALLEST, 1.0), recipe.crop / min(height, width))
    if scale < 1 and rng.random() < 0.7:
        size = round(width * scale), round(height * scale)
        planes = np.asarray(cv2.resize(planes, size, interpolation=cv2.INTER_AREA), np.uint8)
    if rng.random() < 0.5:
        planes = planes[:, ::-1]
    dark = rng.random() < recipe.night
    gain = rng.uniform(*_NIGHT_GAIN) if dark else 1.0
    tone = np.exp(rng.uniform(*(_NIGHT_TONE if dark else (-0.25, 0.25))))
    table = np.rint(255 * (gain * np.arange(256) / 255) ** tone).astype(np.uint8)
    return np.take(table, planes[..., :3]), np.ascontiguousarray(planes[..., 3])


def _crop(planes: UInt8Image, edge: int, rng: np.random.Generator) -> UInt8Image:
    top, left = (int(rng.integers(length - edge + 1)) for length in planes.shape[:2])
    return planes[top : top + edge, left : left + edge]
