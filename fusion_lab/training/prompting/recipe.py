"""Recipes of networks that take a mask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import ConfigDict, Field

from fusion_core.errors import UsageError
from fusion_lab.training.augment import Augmentation
from fusion_lab.training.fuser_trainer import FuserSchedule
from fusion_lab.training.objective import LossWeights
from fusion_lab.training.prompting.corruption import MaskCorruption
from fusion_lab.training.prompting.loss import PromptWeights
from fusion_lab.training.recipe import read_recipe


@dataclass(frozen=True, kw_only=True)
class PromptRecipe(FuserSchedule):
    """One training run.

    Attributes:
        batch: Crops per step.
        crop: Edge of a crop in pixels.
        segmenter_share: Share of the steps, at the end, in which only the segmenter learns, on a
            cosine of its own, from the segmentation alone. Together, the gradient of the fused
            picture drowns that of the segmentation, and the segmenter repeats the mask that is
            given.
        network: Fields of the network's configuration that differ, for ablations.
        reference: Weights of the objective of the reference fusion.
        prompt: Weights of what concerns the mask.
        augmentation: Ranges of the changes to the pictures.
        corruption: Ranges of the changes to the masks.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    batch: Annotated[int, Field(ge=1)] = 8
    crop: Annotated[int, Field(ge=32)] = 128
    segmenter_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    network: dict[str, int | bool | str] = field(default_factory=dict)
    reference: LossWeights
    prompt: PromptWeights
    augmentation: Augmentation = field(default_factory=Augmentation)
    corruption: MaskCorruption = field(default_factory=MaskCorruption)

    @property
    def segmenter_from(self) -> int:
        """Step from which only the segmenter learns; the number of steps where it never does."""
        return self.steps - round(self.segmenter_share * self.steps)


@dataclass(frozen=True, slots=True)
class PromptAblation:
    """What one case changes.

    Attributes:
        network: Fields of ``CtrlFuseConfig``.
        prompt: Fields of ``PromptWeights``.
        recipe: Fields of ``PromptRecipe``.
    """

    network: Mapping[str, int | bool | str] = field(default_factory=dict)
    prompt: Mapping[str, float] = field(default_factory=dict)
    recipe: Mapping[str, float] = field(default_factory=dict)


_NO_LOSS, _NO_PHASE = {"segmentation": 0.0}, {"segmenter_share": 0.0}
# Parts of CtrlFuse that can be taken out or varied; the paper's table has the same three.
ABLATIONS: Mapping[str, PromptAblation] = {
    "": PromptAblation(),
    "no-prompts": PromptAblation(network={"prompts": 0}),
    "no-segmentation": PromptAblation(prompt=_NO_LOSS, recipe=_NO_PHASE),
    "no-segmenter": PromptAblation({"segmenter": "none"}, prompt=_NO_LOSS, recipe=_NO_PHASE),
    "swapped": PromptAblation(network={"swapped": True}),
}


def load_prompt_recipe(
    model: str, ablation: str = "", *, source: str = "", **overrides: object
) -> PromptRecipe:
    """Read the recipe that ships for a model, or another one.

    Args:
        model: ``ctrlfuse`` or ``ctrlfuse-full``.
        ablation: One of ``ABLATIONS``; empty is the full system.
        source: See :func:`fusion_lab.training.recipe.read_recipe`.
        overrides: Top-level values that win over the file's; None means not given.

    Raises:
        UsageError: No such ablation or recipe.
        ConfigError: The recipe or an override is malformed or out of range.
    """
    if ablation not in ABLATIONS:
        known = ", ".join(ABLATIONS)
        raise UsageError(
            f"ablation {ablation!r}: unknown; known ablations of CtrlFuse: {known[2:]}"
        )
    change = ABLATIONS[ablation]
    changes = {"network": dict(change.network), **change.recipe, **overrides}
    return read_recipe(PromptRecipe, model, changes, {"prompt": change.prompt}, source)
