"""Pre-training of a masked autoencoder: hide patches, and paint them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional as F

from fusion_core.models.tcmoa.backbone import PATCH, SMALL, MaskedAutoencoder
from fusion_core.models.tcmoa.embedded import load_mae, save_mae
from fusion_core.types import UInt8Image
from fusion_lab.training.loop import Place
from fusion_lab.training.masked.pictures import draw_kept, make_crops
from fusion_lab.training.masked.recipe import MaskedRecipe
from fusion_lab.training.picture_trainer import PictureTrainer
from fusion_lab.training.sheet import write_colour_sheet

_VALIDATION: Final = -1  # a step that no run reaches: held-out crops are always the same
_SHOWN: Final = 6


class MaskedTrainer(PictureTrainer[MaskedRecipe, MaskedAutoencoder]):
    """One run.

    Args:
        recipe: What to do.
        pictures: ``HxWx3`` uint8 RGB; every sixteenth is held out.
        place: Where and how.
        resume: Continue from the checkpoint in ``place.out``.

    Raises:
        UsageError: The folder holds a run already, or the recipe or data to resume have changed.
        WeightsError: The checkpoint to resume is missing, torn or foreign.
    """

    def __init__(
        self,
        recipe: MaskedRecipe,
        pictures: Sequence[UInt8Image],
        place: Place,
        *,
        resume: bool = False,
    ) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(place.seed)
            network = MaskedAutoencoder(SMALL)
        super().__init__(recipe, network, pictures, place, resume=resume)

    def _begin(self) -> None:
        if self.recipe.init:
            self.model.load_state_dict(load_mae(self.recipe.init).state_dict())

    def _losses(self) -> dict[str, Tensor]:
        crops, made, hidden = self._paint(self.model, self.training, self.step)
        wrong = (made - crops).square().mean(1, keepdim=True)
        per_patch = F.avg_pool2d(wrong, PATCH).flatten(1)
        painted = (per_patch * hidden).sum() / hidden.sum()
        copied = (per_patch * (1 - hidden)).sum() / (1 - hidden).sum()
        return {
            "painted": painted,
            "copied": self.recipe.shown * copied,
            "total": painted + self.recipe.shown * copied,
        }

    def _paint(
        self, network: MaskedAutoencoder, pictures: Sequence[UInt8Image], step: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return crops, what the network makes of them, and ``BxN`` 1 where it saw nothing."""
        seed = self.place.seed + (0 if step >= 0 else 1)
        crops = make_crops(pictures, self.recipe, seed, abs(step))
        kept = draw_kept(self.recipe, crops, seed, abs(step)).to(self.place.device)
        crops = crops.to(self.place.device)
        with self._autocast():
            made = network.reconstruct(crops, kept).float()
        hidden = torch.ones(len(crops), (crops.shape[-1] // PATCH) ** 2, device=crops.device)
        return crops, made, hidden.scatter(1, kept, 0.0)

    def _optimiser(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(
            self.model.parameters(), weight_decay=self.recipe.weight_decay, betas=(0.9, 0.95)
        )

    def _learned(self) -> None:
        if self.step + 1 in self.recipe.keep:
            path = self.place.out / "steps" / f"{self.step + 1:06d}.safetensors"
            path.parent.mkdir(exist_ok=True)
            save_mae(self.average, path, {**self._describe(), "step": self.step + 1})

    def _write(self, scalars: Mapping[str, Any]) -> None:
        save_mae(self.average, self.finish(), scalars)

    @torch.no_grad()
    def _validate(self, sheet: Path) -> dict[str, float]:
        """Return the squared error on hidden patches of held-out pictures; draw some."""
        if not self.held_out:
            return {}
        crops, made, hidden = self._paint(self.average, self.held_out, _VALIDATION)
        per_patch = F.avg_pool2d((made - crops).square().mean(1, keepdim=True), PATCH).flatten(1)
        painted = float((per_patch * hidden).sum() / hidden.sum())
        _draw(sheet, crops[:_SHOWN], made[:_SHOWN], hidden[:_SHOWN])
        return {"painted": painted}


def _draw(sheet: Path, crops: Tensor, made: Tensor, hidden: Tensor) -> None:
    """Write a PNG: what is seen, what is painted, what is true; a column per crop."""
    edge = crops.shape[-1] // PATCH
    unseen = F.interpolate(hidden.reshape(-1, 1, edge, edge), scale_factor=PATCH)
    write_colour_sheet(sheet, (torch.lerp(crops, crops.new_tensor(0.5), unseen), made, crops))
