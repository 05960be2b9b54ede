"""Training of what finds the person at a click."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import ConfigDict, Field
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from fusion_core.masks.person_at import FORMAT, STRIDES, WINDOW, heights_in
from fusion_lab.data import Example, split_by_scene
from fusion_lab.training.clicking.batches import Crowd, crowd_of, make_click_batch
from fusion_lab.training.cosine import CosineSchedule, CosineTrainer
from fusion_lab.training.loop import Place

_EPS = 1e-6


@dataclass(frozen=True, kw_only=True)
class ClickRecipe(CosineSchedule):
    """One run.

    Attributes:
        model: ``person-at``.
        widths: Channels of the convolutions.
        hidden: Width between the two linear maps.
        dropout: Share of the features that are left out before these in training.
        distance: Weight of the mean distance of the reaches beside their overlap.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    model: str
    widths: tuple[int, int, int, int, int] = (24, 32, 48, 48, 64)
    hidden: Annotated[int, Field(ge=1)] = 64
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    distance: Annotated[float, Field(ge=0)] = 0.5


class ClickNetwork(nn.Module):
    """The network of ``fusion_core.masks.person_at``, to be trained.

    Args:
        recipe: Its widths.
    """

    def __init__(self, recipe: ClickRecipe) -> None:
        super().__init__()
        fan_in = (2, *recipe.widths)
        cells = WINDOW[0] * WINDOW[1] // 64
        self.layers = nn.ModuleList(
            nn.Conv2d(before, after, 3, stride, 1)
            for before, after, stride in zip(fan_in, recipe.widths, STRIDES, strict=False)
        )
        self.layers += [
            nn.Linear(recipe.widths[-1] * cells, recipe.hidden),
            nn.Linear(recipe.hidden, 5),
        ]
        self.dropout = nn.Dropout(recipe.dropout)

    def forward(self, windows: Tensor) -> tuple[Tensor, Tensor]:
        """Return reaches ``Bx4`` and logits ``B`` of the expected overlap."""
        x = windows
        for layer in self.layers[:-2]:
            x = F.relu(layer(x))
        x = self.dropout(x.flatten(1))
        told = self.layers[-1](F.relu(self.layers[-2](x))).float()
        return F.softplus(told[:, :4]), told[:, 4]


class ClickTrainer(CosineTrainer[ClickRecipe, ClickNetwork]):
    """One run.

    Args:
        recipe: What to do.
        examples: Labelled pairs; the validation scenes are split off here.
        place: Where and how.
        resume: Continue from the checkpoint in ``place.out``.

    Raises:
        UsageError: The folder holds a run already, or the recipe or data to resume have changed.
        WeightsError: The checkpoint to resume is missing, torn or foreign.
    """

    def __init__(
        self,
        recipe: ClickRecipe,
        examples: Sequence[Example],
        place: Place,
        *,
        resume: bool = False,
    ) -> None:
        kept, held = split_by_scene(examples, place.hold_out, place.seed)
        self._training, self._held_out = ([*filter(None, map(crowd_of, e))] for e in (kept, held))
        torch.manual_seed(place.seed)
        super().__init__(recipe, ClickNetwork(recipe), place, resume=resume)

    def _losses(self) -> dict[str, Tensor]:
        torch.manual_seed(self.place.seed * 1_000_003 + self.step)
        batch = make_click_batch(self._training, self.recipe.batch, self.place.seed, self.step)
        wanted = batch.reaches.to(self.place.device)
        with self._autocast():
            reaches, logits = self.model(batch.windows.to(self.place.device))
        there = wanted.sum(1) > 0
        overlaps = overlaps_of(reaches, wanted)
        missed = (1 - overlaps)[there].mean()
        distance = self.recipe.distance * (reaches - wanted).abs()[there].mean()
        known = F.binary_cross_entropy_with_logits(logits, overlaps.detach())
        return {
            "overlap": missed,
            "distance": distance,
            "expected": known,
            "total": missed + distance + known,
        }

    def _write(self, scalars: Mapping[str, Any]) -> None:
        weights = {
            f"{number}.{name}": tensor.contiguous()
            for number, layer in enumerate(self.average.layers)
            for name, tensor in layer.state_dict().items()
        }
        save_file(weights, self.finish(), {**FORMAT, "training": json.dumps(dict(scalars))})

    @torch.no_grad()
    def _validate(self, sheet: Path) -> dict[str, float]:  # noqa: ARG002 - nothing to draw
        """Return the mean overlap of what is found at the middles of held-out people."""
        found = [self._found(c, box) for c in self._held_out for box in torch.from_numpy(c.boxes)]
        return {"iou": round(sum(found) / len(found), 4)} if found else {}

    def _found(self, crowd: Crowd, box: Tensor) -> float:
        x, y = ((box[:2] + box[2:]) / 2).tolist()
        heights = torch.tensor(heights_in(crowd.size[0]))
        windows = [torch.from_numpy(crowd.looks[0].at(x, y, h)) for h in heights.tolist()]
        reaches, logits = self.average(torch.stack(windows).to(self.place.device))
        best = int(logits.argmax())
        wanted = torch.stack([x - box[0], y - box[1], box[2] - x, box[3] - y]).float()
        return float(overlaps_of(reaches[best : best + 1].cpu() * heights[best], wanted[None]))

    def _counts(self) -> dict[str, int]:
        return {"training_pairs": len(self._training), "validation_pairs": len(self._held_out)}


def overlaps_of(first: Tensor, second: Tensor) -> Tensor:
    """Return the intersection over union ``B`` of boxes given by reaches ``Bx4`` from one point."""
    width, height = (
        torch.minimum(first[:, at], second[:, at])
        + torch.minimum(first[:, at + 2], second[:, at + 2])
        for at in (0, 1)
    )
    shared = width * height
    areas = [(reach[:, 0] + reach[:, 2]) * (reach[:, 1] + reach[:, 3]) for reach in (first, second)]
    return shared / (sum(areas[1:], areas[0]) - shared + _EPS)
