"""Recipe of the training of a text encoder, as checked data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import ConfigDict, Field

from fusion_lab.training.cosine import CosineSchedule


@dataclass(frozen=True, kw_only=True)
class TextRecipe(CosineSchedule):
    """One training run; ``batch`` counts sentences.

    Attributes:
        model: Name of the network.
        init: Weights file to start from; empty starts from random weights.
        unknown: Probability that a word is inserted that nobody knows, per sentence.
        checked: Sentences of each kind in a validation.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    model: str = "mmaif-text"
    init: str = ""
    unknown: Annotated[float, Field(ge=0, le=1)] = 0.15
    final_rate: Annotated[float, Field(gt=0)] = 1e-5
    checked: Annotated[int, Field(ge=1)] = 1000
