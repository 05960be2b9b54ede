"""Recipe of the training of a codec's decoder, as checked data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import ConfigDict, Field

from fusion_lab.training.loop import Schedule

_Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, kw_only=True)
class CodecRecipe(Schedule):
    """One training run; the encoder stays as it is, so that latents keep their meaning.

    Attributes:
        model: Name of the codec.
        init: Folder of TAEF2's files, or a weights file, to start from.
        crop: Edge of a crop in pixels, a multiple of 8.
        scale: Smallest and largest edge of a crop before resizing, in units of its final edge.
        grey: Probability that a crop loses its colour.
        tone: Probability of another exposure: gamma .5-2 and gain .5-1.4.
        structure: Weight of 1 - SSIM beside the mean logarithm of the squared errors.
        worlds: Synthetic worlds that are rendered beside the pictures.
        final_rate: End of the cosine.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    model: str = "mmaif-codec"
    init: str = ""
    crop: Annotated[int, Field(ge=32, multiple_of=8)] = 128
    scale: tuple[float, float] = (0.8, 3.0)
    grey: _Share = 0.1
    tone: _Share = 0.4
    structure: Annotated[float, Field(ge=0)] = 1.0
    worlds: Annotated[int, Field(ge=0)] = 0
    final_rate: Annotated[float, Field(gt=0)] = 1e-6
