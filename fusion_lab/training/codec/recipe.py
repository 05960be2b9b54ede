"""Recipe of the training of a codec's decoder, as checked data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import ConfigDict, Field

from fusion_lab.training.picture_trainer import PictureSchedule

_Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, kw_only=True)
class CodecRecipe(PictureSchedule):
    """One training run; the encoder stays as it is, so that latents keep their meaning.

    Attributes:
        init: Folder of TAEF2's files, or a weights file, to start from.
        crop: Edge of a crop in pixels, a multiple of 8.
        tone: Probability of another exposure: gamma .5-2 and gain .5-1.4.
        structure: Weight of 1 - SSIM beside the mean logarithm of the squared errors.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    model: str = "mmaif-codec"
    crop: Annotated[int, Field(ge=32, multiple_of=8)] = 128
    scale: tuple[float, float] = (0.8, 3.0)
    tone: _Share = 0.4
    structure: Annotated[float, Field(ge=0)] = 1.0
