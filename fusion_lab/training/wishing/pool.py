"""Regions that crops are drawn from, renewed one at a time."""

from __future__ import annotations

import itertools
from collections import deque
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion_core.models.mmaif.measuring import Measured
from fusion_core.models.mmaif.weather import Weather
from fusion_lab.training.wishing.recipe import WishingRecipe
from fusion_lab.training.wishing.samples import SampleMaker, WishedSample


class WishingBatch(NamedTuple):
    """Crops of ``B`` regions, float32 in [0, 1] but for the latents.

    Attributes:
        first: ``Bx3xhxw`` RGB.
        second: ``Bx3xhxw`` RGB.
        target: ``Bx3xhxw`` luma, Cb and Cr of the result as asked for; of ``vif`` those of the
            visible picture as asked for.
        asked_second: ``Bx1xhxw`` the thermal picture as asked for.
        latents: ``Bx3xCxh'xw'`` of the whole regions: first, second and target.
        measured: What is measured on the first and on the second pictures, of the crops' view.
        weather: What experts see through the weather, of the crops: of ``vif`` of the first
            pictures, of other tasks of the first, then of the second ones.
        opened: ``2xBxR`` share that each of ``RULES`` should take away from them.
        corner: ``Bx2`` top and left of the crop in its region, multiples of 32.
        wishes: ``BxW``, see :meth:`Wish.vector`.
        sentences: What is said of each, empty for nothing.
    """

    first: Tensor
    second: Tensor
    target: Tensor
    asked_second: Tensor
    latents: Tensor
    measured: tuple[Measured, Measured]
    weather: Weather
    opened: Tensor
    corner: Tensor
    wishes: Tensor
    sentences: tuple[str, ...]

    def to(self, device: str) -> WishingBatch:
        """Return the batch on a device."""
        moved = {
            name: value.to(device)
            for name, value in self._asdict().items()
            if isinstance(value, Tensor)
        }
        first, second = (Measured(*(x.to(device) for x in part)) for part in self.measured)
        weather = Weather(*(x.to(device) for x in self.weather))
        return self._replace(measured=(first, second), weather=weather, **moved)  # type: ignore[arg-type]


class WishingPool:
    """The newest ``recipe.pool`` of an endless row of samples.

    Args:
        maker: Makes them.
        recipe: Sizes.
        seed: Seed of the run.
    """

    def __init__(self, maker: SampleMaker, recipe: WishingRecipe, seed: int) -> None:
        self._maker, self._recipe, self._seed = maker, recipe, seed
        self._samples: deque[WishedSample] = deque(maxlen=recipe.pool)
        self._next = 0

    def batch(self, step: int, turn: int) -> WishingBatch:
        """Return the crops of a step; they depend on nothing but the seed and the numbers.

        Args:
            step: Step of the run.
            turn: How many steps of the pool's task there were before.
        """
        recipe = self._recipe
        last = turn // recipe.renew + recipe.pool
        self._next = max(self._next, last - recipe.pool)
        while self._next < last:
            self._samples.append(self._maker.sample(self._next))
            self._next += 1
        rng = np.random.default_rng((self._seed, 1, step))
        order = rng.permutation(len(self._samples))[: recipe.batch].tolist()
        drawn = [self._samples[index] for index in order]
        places = (recipe.region - recipe.crop) // 32 + 1
        corner = 32 * rng.integers(0, places, (len(drawn), 2))
        return cropped(drawn, corner, recipe.crop)


def cropped(samples: list[WishedSample], corner: NDArray[np.int64], crop: int) -> WishingBatch:
    """Return crops of samples as a batch.

    Args:
        samples: Regions of one size.
        corner: ``Bx2`` top and left of the crops.
        crop: Edge of the crops.
    """
    cuts = [
        sample.planes[top : top + crop, left : left + crop]
        for sample, (top, left) in zip(samples, corner.tolist(), strict=True)
    ]
    stack = torch.from_numpy(np.stack(cuts)).permute(0, 3, 1, 2).float() / 255
    ends = (0, 3, 6, 9, 10)
    first, second, target, asked = (
        stack[:, low:high].contiguous() for low, high in itertools.pairwise(ends)
    )
    latents = torch.stack([sample.latents for sample in samples]).float()
    opened = torch.from_numpy(np.stack([sample.opened for sample in samples], 1))
    measured = [
        Measured(
            *(
                torch.cat(parts)
                for parts in zip(
                    *(
                        sample.measured.cut(slice(role, role + 1), top, left, crop)
                        for sample, (top, left) in zip(samples, corner.tolist(), strict=True)
                    ),
                    strict=True,
                )
            )
        )
        for role in range(2)
    ]
    views = [
        sample.weather.cut(top, left, crop)
        for sample, (top, left) in zip(samples, corner.tolist(), strict=True)
    ]
    # The first pictures of all sets, then the second ones.
    weather = Weather(
        *(torch.stack(parts, 1).flatten(0, 1).float() for parts in zip(*views, strict=True))
    )
    sentences = tuple(sample.sentence for sample in samples)
    wishes = torch.from_numpy(np.stack([sample.wish for sample in samples]))
    return WishingBatch(
        first=first,
        second=second,
        target=target,
        asked_second=asked,
        latents=latents,
        measured=(measured[0], measured[1]),
        weather=weather,
        opened=opened,
        corner=torch.from_numpy(corner),
        wishes=wishes,
        sentences=sentences,
    )
