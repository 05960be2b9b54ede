"""Recipe of the pre-training of a masked autoencoder, as checked data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import ConfigDict, Field

from fusion_lab.training.picture_trainer import PictureSchedule

_Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, kw_only=True)
class MaskedRecipe(PictureSchedule):
    """One training run.

    Attributes:
        patches: Patches per step; the larger the crops, the fewer of them.
        crops: Edges of crops in pixels, multiples of the patch; every step takes one.
        masked: Share of the patches that the encoder does not see.
        shown: Weight of the patches that it does see: fusion masks none.
        tone: Probability of another exposure: gamma .6-1.6 and gain .6-1.3.
        keep: Steps at which the averaged weights are kept beside those of the end.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    model: str = "mae-small"
    patches: Annotated[int, Field(ge=1)] = 3200
    crops: tuple[Annotated[int, Field(ge=32, multiple_of=16)], ...] = (112, 128, 160)
    masked: Annotated[float, Field(gt=0, lt=1)] = 0.75
    shown: Annotated[float, Field(ge=0)] = 0.1
    scale: tuple[float, float] = (0.7, 2.5)
    tone: _Share = 0.5
    worlds: Annotated[int, Field(ge=0)] = 4
    final_rate: Annotated[float, Field(gt=0)] = 1e-5
    keep: tuple[int, ...] = ()
