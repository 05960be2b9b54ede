"""The part of a training run that networks of single pictures share beyond the loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final, TypeVar

from pydantic import Field
from torch import nn

from fusion_core.types import UInt8Image
from fusion_lab.training.cosine import CosineSchedule, CosineTrainer
from fusion_lab.training.loop import Place

_Share = Annotated[float, Field(ge=0, le=1)]
_EVERY: Final = 16  # one picture of so many is held out


@dataclass(frozen=True, kw_only=True)
class PictureSchedule(CosineSchedule):
    """Settings that the recipes of such networks have.

    Attributes:
        model: Name of the network.
        init: What to start from; empty starts from random weights where that is possible.
        scale: Smallest and largest edge of a crop before resizing, in units of its final edge.
        grey: Probability that a crop loses its colour.
        tone: Probability of another exposure.
        worlds: Synthetic worlds that are rendered beside the pictures.
    """

    model: str
    init: str = ""
    scale: tuple[float, float]
    grey: _Share = 0.1
    tone: _Share
    worlds: Annotated[int, Field(ge=0)] = 0


RecipeT = TypeVar("RecipeT", bound=PictureSchedule)
NetworkT = TypeVar("NetworkT", bound=nn.Module)


class PictureTrainer(CosineTrainer[RecipeT, NetworkT]):
    """A run under a cosine on single pictures, of which every sixteenth is held out.

    Args:
        recipe: What to do.
        network: The network to begin with.
        pictures: ``HxWx3`` uint8 RGB.
        place: Where and how.
        resume: Continue from the checkpoint in ``place.out``.

    Raises:
        UsageError: The folder holds a run already, or the recipe or data to resume have changed.
        WeightsError: The checkpoint to resume is missing, torn or foreign.
    """

    def __init__(
        self,
        recipe: RecipeT,
        network: NetworkT,
        pictures: Sequence[UInt8Image],
        place: Place,
        *,
        resume: bool,
    ) -> None:
        self.training = [p for n, p in enumerate(pictures, 1) if n % _EVERY]
        self.held_out = [p for n, p in enumerate(pictures, 1) if not n % _EVERY]
        super().__init__(recipe, network, place, resume=resume)

    def _counts(self) -> dict[str, int]:
        return {"training_pictures": len(self.training), "held_out": len(self.held_out)}
