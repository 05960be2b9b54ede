"""One degraded set of pictures, and what a sentence asks of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import torch
from torch import Tensor

from fusion_core.models.mmaif.measuring import Measured, measure
from fusion_core.models.mmaif.planes import to_planes, to_rgb
from fusion_core.models.mmaif.weather import Weather
from fusion_core.sentences import DEGRADATIONS, Wish
from fusion_core.types import FloatImage, UInt8Image
from fusion_lab.data import Example, FusionTask
from fusion_lab.data.making import ExposureRanges, exposure_pair, focus_pair
from fusion_lab.training.degradations import Degrader
from fusion_lab.training.wishing.asking import Asking, Severities, draw_asking
from fusion_lab.training.wishing.recipe import WishingRecipe

# What happens between scene and camera; exposures and focus settings share it.
_SCENE: Final = frozenset({"haze", "rain", "snow", "smoke"})
# Scenes of which the two exposures together show most.
_EXPOSURES: Final = ExposureRanges(light=(0.5, 4.0), margin=(0.1, 1.0))
_LARGEST: Final = 1.5  # shorter edge of a whole picture, in regions
# A clear day as a night: (k J)^gamma with k and the logarithm of gamma from these ranges.
_NIGHT_GAIN, _NIGHT_TONE = (0.4, 1.0), (0.5, 1.3)


@dataclass(frozen=True, slots=True, eq=False)
class WishedSample:
    """A region of one set.

    Attributes:
        planes: ``HxWx10`` uint8: first and second picture in RGB, the target, of ``vif`` the
            visible picture as asked for, in luma, Cb and Cr, the thermal picture as asked for.
        sentence: What is said, empty for nothing.
        wish: What that wishes for, see :meth:`Wish.vector`.
        latents: ``3xCxhxw`` of first and second picture, and of their fusion as asked for.
        measured: What is measured on first and second picture, as a batch of two.
        weather: What experts see through the weather, of the first picture; of tasks other than
            ``vif`` of both.
        opened: ``2xR`` share that each of ``RULES`` should take away from them.
        shown: ``2xK``, 1 where they show one of ``DEGRADATIONS``.
    """

    planes: UInt8Image
    sentence: str
    wish: FloatImage
    latents: Tensor
    measured: Measured
    weather: Weather
    opened: FloatImage
    shown: FloatImage


class SampleMaker:
    """Makes samples of one task; each depends on seed and number alone.

    Args:
        task: The task.
        examples: Pairs of ``vif``; of other tasks the first picture is taken as sharp.
        recipe: What is done to them.
        join: Gives the fusion ``1x3xHxW`` of luma, Cb and Cr and of a thermal picture.
        encode: Gives latents of ``Bx3xHxW`` RGB in [0, 1].
        see_through: Gives what is seen through the weather, of a set ``2x3xHxW`` RGB in [0, 1].
        seed: Seed of the run.
    """

    def __init__(
        self,
        task: FusionTask,
        examples: list[Example],
        recipe: WishingRecipe,
        join: Callable[[Tensor, Tensor], Tensor],
        *,
        encode: Callable[[Tensor], Tensor],
        see_through: Callable[[Tensor, FusionTask], Weather],
        seed: int,
    ) -> None:
        self._task, self._examples, self._recipe = task, examples, recipe
        self._join, self._encode, self._seed = join, encode, seed
        self._see_through = see_through

    def sample(self, number: int) -> WishedSample:
        """Return one sample."""
        rng = np.random.default_rng((self._seed, len(self._task), ord(self._task[1]), number))
        example = self._examples[int(rng.integers(len(self._examples)))]
        make = self._vif if self._task == "vif" else self._made
        stack, asking = make(example, rng)
        region = self._recipe.region
        # Blocks of compression begin at multiples of 8, as they do in use.
        top, left = (8 * int(rng.integers((edge - region) // 8 + 1)) for edge in stack.shape[:2])
        cut = np.ascontiguousarray(stack[top : top + region, left : left + region])
        rgb = np.stack((cut[..., :3], cut[..., 3:6], self._fused(cut)))
        pictures = torch.from_numpy(rgb).permute(0, 3, 1, 2).float() / 255
        return WishedSample(
            planes=cut,
            sentence=asking.sentence,
            wish=(asking.wish or Wish()).vector(),
            latents=self._encode(pictures).half(),
            measured=measure(to_planes(pictures[:2])),
            weather=Weather(*(x.half() for x in self._see_through(pictures[:2], self._task))),
            opened=np.array([asking.shares(part) for part in self._both(asking)], np.float32),
            shown=np.array(
                [[float(kind in part) for kind in DEGRADATIONS] for part in self._both(asking)],
                np.float32,
            ),
        )

    def _both(self, asking: Asking) -> tuple[Severities, Severities]:
        """Return what degrades the first and the second picture."""
        return asking.first, asking.second if self._task == "vif" else asking.first

    def _fused(self, cut: UInt8Image) -> UInt8Image:
        """Return the fusion as asked for, ``HxWx3`` RGB."""
        planes = as_tensor(cut[..., 6:9])
        if self._task == "vif":
            planes = self._join(planes, as_tensor(cut[..., 9]))
        return as_image(to_rgb(planes))

    def _vif(self, example: Example, rng: np.random.Generator) -> tuple[UInt8Image, Asking]:
        """Return planes of a pair, and what is said."""
        recipe = self._recipe
        visible, thermal = _resized([example.first, example.second], recipe.region, rng)
        asking = draw_asking(recipe, "vif", rng)
        # Of a night that is darkened further nobody knows how bright it is to become.
        night = rng.random() < recipe.night and "low_light" not in asking.first
        visible = _toned(visible, rng, dark=night)
        seed = int(rng.integers(2**31))
        bad = degraded(thermal, asking.second, seed)
        kept = degraded(visible, asking.left(asking.first), seed)
        return np.dstack(
            (
                degraded(visible, asking.first, seed),
                cv2.cvtColor(bad, cv2.COLOR_GRAY2RGB),
                as_image(to_planes(as_tensor(kept))),
                degraded(thermal, asking.left(asking.second), seed),
            )
        ), asking

    def _made(self, example: Example, rng: np.random.Generator) -> tuple[UInt8Image, Asking]:
        """Return planes of two exposures or focus settings, and what is said."""
        recipe = self._recipe
        (sharp,) = _resized([example.first], recipe.region, rng)
        asking = draw_asking(recipe, self._task, rng)
        first, second, target = make_degraded(sharp, self._task, asking, rng)
        image = as_image(to_planes(as_tensor(target)))
        return np.dstack((first, second, image, np.zeros_like(sharp[..., 0]))), asking


def make_degraded(
    sharp: UInt8Image, task: FusionTask, asking: Asking, rng: np.random.Generator
) -> tuple[UInt8Image, UInt8Image, UInt8Image]:
    """Return two exposures or focus settings of a degraded scene, and the true target.

    What is in the air is there before the cameras, the rest is added to each picture. Where some of
    that is to stay, both pictures have the same of it, so that the target can have it, too.

    Args:
        sharp: ``HxWx3`` uint8 RGB.
        task: ``mef`` or ``mff``.
        asking: What degrades and what is asked for.
        rng: Source of all that is random.
    """
    seed = int(rng.integers(2**30))
    air, camera = _parted(asking.first)
    left_air, left_camera = _parted(asking.left(asking.first))
    seen = degraded(sharp, air, seed)
    pair = exposure_pair(seen, rng, _EXPOSURES) if task == "mef" else focus_pair(seen, rng)
    second_seed = seed if left_camera else seed + 1
    return (
        degraded(pair.first, camera, seed),
        degraded(pair.second, camera, second_seed),
        degraded(degraded(sharp, left_air, seed), left_camera, seed),
    )


def degraded(picture: UInt8Image, severities: Mapping[str, float], seed: int) -> UInt8Image:
    """Return a degraded picture; the picture itself where nothing is done to it."""
    if not severities:
        return picture
    values = picture.astype(np.float32) / np.float32(255)
    return np.rint(Degrader(severities, seed).apply(values).image * 255).astype(np.uint8)


def as_tensor(picture: UInt8Image) -> Tensor:
    """Return ``1xCxHxW`` in [0, 1] of ``HxW`` or ``HxWxC`` uint8."""
    planes = picture[..., None] if picture.ndim == 2 else picture
    return torch.from_numpy(np.ascontiguousarray(planes)).permute(2, 0, 1)[None].float() / 255


def as_image(planes: Tensor) -> UInt8Image:
    """Return ``HxWxC`` uint8 of ``1xCxHxW`` in [0, 1]."""
    values = planes[0].permute(1, 2, 0).clamp(0, 1).mul(255).round()
    return np.asarray(values.numpy(), np.uint8)


def _parted(severities: Mapping[str, float]) -> tuple[dict[str, float], dict[str, float]]:
    """Return what is in the air, and what the camera adds."""
    air = {kind: value for kind, value in severities.items() if kind in _SCENE}
    return air, {kind: value for kind, value in severities.items() if kind not in _SCENE}


def _resized(pictures: list[UInt8Image], region: int, rng: np.random.Generator) -> list[UInt8Image]:
    """Scale and flip pictures of one size; the shorter edge becomes 1 to 1.5 regions."""
    height, width = pictures[0].shape[:2]
    scale = region * float(rng.uniform(1.0, _LARGEST)) / min(height, width)
    scale = max(min(scale, 1.0), region / min(height, width))
    size = max(region, round(width * scale)), max(region, round(height * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    mirrored = rng.random() < 0.5
    found = [cv2.resize(picture, size, interpolation=method) for picture in pictures]
    return [np.ascontiguousarray(p[:, ::-1] if mirrored else p, np.uint8) for p in found]


def _toned(picture: UInt8Image, rng: np.random.Generator, *, dark: bool) -> UInt8Image:
    gain = rng.uniform(*_NIGHT_GAIN) if dark else 1.0
    tone = np.exp(rng.uniform(*(_NIGHT_TONE if dark else (-0.2, 0.2))))
    levels: FloatImage = 255 * (gain * np.arange(256, dtype=np.float32) / 255) ** np.float32(tone)
    return np.take(np.rint(levels).astype(np.uint8), picture)
