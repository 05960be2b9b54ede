"""Training of a codec's decoder: encode, decode, and come nearer to the picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from fusion_core.errors import UsageError
from fusion_core.models.mmaif.codec.network import TinyAutoencoder
from fusion_core.models.mmaif.codec.weights import load_codec, save_codec
from fusion_core.types import FloatImage, UInt8Image
from fusion_lab.training.batches import crop_square
from fusion_lab.training.codec.recipe import CodecRecipe
from fusion_lab.training.loop import Place
from fusion_lab.training.losses import ssim
from fusion_lab.training.picture_trainer import PictureTrainer
from fusion_lab.training.sheet import write_colour_sheet

_CHECKED: Final = 12
_EDGE: Final = 192  # of the middles that are checked
# Squared errors below this do not matter: 50 dB.
_LEAST: Final = 1e-5
_SHOWN: Final = 4


class CodecTrainer(PictureTrainer[CodecRecipe, TinyAutoencoder]):
    """One run.

    Args:
        recipe: What to do.
        pictures: ``HxWx3`` uint8 RGB; every sixteenth is held out.
        place: Where and how.
        resume: Continue from the checkpoint in ``place.out``.

    Raises:
        UsageError: The folder holds a run already, the recipe or data to resume have changed, or
            there is nothing to start from.
        WeightsError: The weights to start from or to resume are missing, torn or foreign.
    """

    def __init__(
        self,
        recipe: CodecRecipe,
        pictures: Sequence[UInt8Image],
        place: Place,
        *,
        resume: bool = False,
    ) -> None:
        if not (recipe.init or resume):
            raise UsageError(
                f"{recipe.model} starts from an encoder that stays: "
                "give a folder of TAEF2's files, or a weights file, with --init"
            )
        network = load_codec(recipe.init) if recipe.init else TinyAutoencoder()
        network.encoder.requires_grad_(requires_grad=False)
        super().__init__(recipe, network, pictures, place, resume=resume)

    def _losses(self) -> dict[str, Tensor]:
        crops = make_crops(self.training, self.recipe, self.place.seed, self.step)
        crops = crops.to(self.place.device, memory_format=torch.channels_last)
        with self._autocast():
            with torch.no_grad():
                latents = self.model.encode(crops)
            made = self.model.decode(latents)
        made = made.float()
        # The mean over the logarithms, as PSNR is reported: easy pictures count as much as others.
        errors = (made - crops).square().mean((1, 2, 3))
        logarithm = (errors + _LEAST).log10().mean()
        structure = self.recipe.structure * (1 - ssim(_luma(made), _luma(crops)))
        return {"error": logarithm, "structure": structure, "total": logarithm + structure}

    def _write(self, scalars: Mapping[str, Any]) -> None:
        save_codec(self.average, self.finish(), scalars)

    @torch.no_grad()
    def _validate(self, sheet: Path) -> dict[str, float]:
        """Return the mean PSNR of the middles of held-out pictures; draw some."""
        pairs = []
        for picture in self.held_out[:: max(1, len(self.held_out) // _CHECKED)]:
            middle = _tensor(_middle(picture)).to(self.place.device)
            with self._autocast():
                made = self.average.decode(self.average.encode(middle)).float().clamp(0, 1)
            pairs.append((middle, made))
        if not pairs:
            return {}
        alike = [pair for pair in pairs if pair[0].shape == pairs[0][0].shape][:_SHOWN]
        write_colour_sheet(sheet, [torch.cat(pictures) for pictures in zip(*alike, strict=True)])
        errors = [float((made - middle).square().mean()) for middle, made in pairs]
        return {"psnr": float(np.mean([-10 * np.log10(error + 1e-10) for error in errors]))}


def make_crops(pictures: Sequence[UInt8Image], recipe: CodecRecipe, seed: int, step: int) -> Tensor:
    """Return the ``Bx3xHxW`` crops of a step in [0, 1]; they depend on the arguments only."""
    rng = np.random.default_rng((seed, step))
    chosen = [pictures[int(rng.integers(len(pictures)))] for _ in range(recipe.batch)]
    return torch.cat([_tensor(_crop(picture, recipe, rng)) for picture in chosen])


def _crop(picture: UInt8Image, recipe: CodecRecipe, rng: np.random.Generator) -> FloatImage:
    crop = crop_square(picture, recipe.scale, recipe.crop, rng).astype(np.float32) / 255
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    if rng.random() < recipe.grey:
        crop = np.repeat(crop.mean(2, keepdims=True), 3, 2)
    if rng.random() < recipe.tone:
        crop = np.clip(rng.uniform(0.5, 1.4) * crop ** rng.uniform(0.5, 2.0), 0, 1)
    return np.ascontiguousarray(crop, np.float32)


def _middle(picture: UInt8Image) -> FloatImage:
    """Return the middle of a picture, its sides multiples of 8 and at most 192."""
    sides = [min(_EDGE, side // 8 * 8) for side in picture.shape[:2]]
    top, left = ((whole - part) // 2 for whole, part in zip(picture.shape, sides, strict=False))
    middle = picture[top : top + sides[0], left : left + sides[1]]
    return np.asarray(middle.astype(np.float32) / 255, np.float32)


def _tensor(picture: FloatImage) -> Tensor:
    return torch.from_numpy(picture).permute(2, 0, 1)[None]


def _luma(pictures: Tensor) -> Tensor:
    return pictures.mean(1, keepdim=True)
