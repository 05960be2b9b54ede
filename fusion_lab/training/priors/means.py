"""What the heads of the embedded network take, of many pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fusion_core.priors.network import PriorNet
from fusion_lab.training.priors.samples import Samples


@dataclass(frozen=True, slots=True)
class Means:
    """``N`` pictures and what the heads should say of them.

    Attributes:
        seen: ``NxSEEN``, means of the tokens and statistics.
        labels: ``NxK`` in {0, 1}.
        known: ``NxK``, 1 where the label is known.
        quality: ``N`` in [0, 1].
        places: ``N`` numbers of the places.
        recorded: ``N``, whether it is a recorded picture as it is.
        names: Names of the places.
    """

    seen: Tensor
    labels: Tensor
    known: Tensor
    quality: Tensor
    places: Tensor
    recorded: Tensor
    names: tuple[str, ...]

    def rows(self, chosen: Tensor) -> Means:
        """Return the pictures of a mask or of indices."""
        columns = (field.name for field in dataclasses.fields(self)[:-1])
        return dataclasses.replace(self, **{name: getattr(self, name)[chosen] for name in columns})

    def weights(self, recorded: float) -> Tensor:
        """Return ``N`` weights of mean 1.

        Args:
            recorded: Share of the recorded pictures as they are, of which every place counts alike;
                the others count alike.
        """
        counts = torch.bincount(self.places[self.recorded], minlength=len(self.names))
        of_place = recorded / (counts[self.places] * int((counts > 0).sum())).clamp(min=1)
        of_other = (1 - recorded) / (~self.recorded).sum().clamp(min=1)
        return torch.where(self.recorded, of_place, of_other) * len(self.places)


def join_means(parts: Sequence[tuple[Tensor, ...]], names: tuple[str, ...], degraded: int) -> Means:
    """Return parts in order as one, of which the first ``degraded`` are no recorded pictures."""
    seen, labels, known, quality, places = (
        torch.cat(column) for column in zip(*parts, strict=True)
    )
    recorded = torch.arange(len(seen)) >= degraded
    return Means(seen, labels, known, quality, places, recorded, names)


@torch.inference_mode()
def look_at(net: PriorNet, samples: Samples) -> Tensor:
    """Return what the heads take of ``N`` samples, ``NxSEEN``."""
    thumbs, crops = samples.thumbs.float() / 255, samples.crops.float() / 255
    seen: Tensor = net.look(thumbs, crops, samples.statistics)[0]
    return seen
