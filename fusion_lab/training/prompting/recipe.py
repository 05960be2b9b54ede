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
        reference_share: Share of the steps, at the beginning, in which only the reference fusion
            learns; afterwards it is fixed and only what a mask needs learns, on a cosine of its
            own. None: all learns together, as published.
        network: Fields of the network's configuration that differ, for ablations.
        reference: Weights of the objective of the reference fusion.
        prompt: Weights of what concerns the mask.
        augmentation: Ranges of the changes to the pictures.
        corruption: Ranges of the changes to the masks.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    batch: Annotated[int, Field(ge=1)] = 8
    crop: Annotated[int, Field(ge=32)] = 128
    reference_share: Annotated[float, Field(ge=0, le=1)] | None = None
    network: dict[str, int | bool | str] = field(default_factory=dict)
    reference: LossWeights
    prompt: PromptWeights
    augmentation: Augmentation = field(default_factory=Augmentation)
    corruption: MaskCorruption = field(default_factory=MaskCorruption)

    @property
    def reference_steps(self) -> int:
        """Number of steps in which only the reference fusion learns."""
        return round((self.reference_share or 0) * self.steps)


@dataclass(frozen=True, slots=True)
class PromptAblation:
    """What one case changes.

    Attributes:
        network: Fields of ``CtrlFuseConfig``.
        prompt: Fields of ``PromptWeights``.
    """

    network: Mapping[str, int | bool | str] = field(default_factory=dict)
    prompt: Mapping[str, float] = field(default_factory=dict)


# Parts of CtrlFuse that can be taken out or varied.
ABLATIONS: Mapping[str, PromptAblation] = {
    "": PromptAblation(),
    "no-segmentation": PromptAblation(prompt={"segmentation": 0.0}),
    "no-emphasis": PromptAblation(prompt={"emphasis": 0.0, "outside": 0.0}),
    "no-segmenter": PromptAblation({"segmenter": "none"}, prompt={"segmentation": 0.0}),
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
    changes = {"network": dict(change.network), **overrides}
    return read_recipe(PromptRecipe, model, changes, {"prompt": change.prompt}, source)
