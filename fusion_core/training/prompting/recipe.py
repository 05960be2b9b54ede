"""Recipes of networks that a mask steers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import ConfigDict, Field

from fusion_core.training.augment import Augmentation
from fusion_core.training.fusers import FuserSchedule
from fusion_core.training.prompting.loss import PromptWeights
from fusion_core.training.prompting.masks import Spoiling
from fusion_core.training.recipe import LossWeights, read_recipe


@dataclass(frozen=True, kw_only=True)
class PromptRecipe(FuserSchedule):
    """One training run.

    Attributes:
        batch: Crops per step.
        crop: Edge of a crop in pixels.
        segmenter_from: Step from which only the segmenter learns, on a cosine of its own, from the
            segmentation alone; 0: everything learns together to the end. Together, the gradient
            of the fused picture drowns that of the segmentation, and the segmenter repeats the
            mask that is given.
        reference: Weights of the objective of the reference fusion.
        prompt: Weights of what concerns the mask.
        augmentation: Ranges of the changes to the pictures.
        spoiling: Ranges of the changes to the masks.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    batch: Annotated[int, Field(ge=1)] = 8
    crop: Annotated[int, Field(ge=32)] = 128
    segmenter_from: Annotated[int, Field(ge=0)] = 0
    reference: LossWeights
    prompt: PromptWeights
    augmentation: Augmentation = field(default_factory=Augmentation)
    spoiling: Spoiling = field(default_factory=Spoiling)


def load_prompt_recipe(model: str, **overrides: object) -> PromptRecipe:
    """Read the recipe that ships for a model.

    Args:
        model: ``ctrlfuse`` or ``ctrlfuse-full``.
        overrides: Top-level values that win over the file's; None means not given.

    Raises:
        ConfigError: An override is malformed or out of range.
    """
    return read_recipe(PromptRecipe, model, overrides)
