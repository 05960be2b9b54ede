"""Pictures to learn from without any label, and crops of them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch
from torch import Tensor

from fusion_core.errors import EncodingError, SourceError
from fusion_core.types import FloatImage, UInt8Image
from fusion_lab.data import read_image
from fusion_lab.training.batches import crop_square
from fusion_lab.training.masked.recipe import MaskedRecipe
from fusion_lab.training.priors.bases import synthetic_bases

_log = logging.getLogger(__name__)
_SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"})
# Folders beside pictures that hold no pictures of a camera.
_NOT_TAKEN: Final = frozenset({"masks", "labels", "fused"})
_SMALLEST, _LARGEST = 64, 1024


def find_pictures(folders: Sequence[Path]) -> list[UInt8Image]:
    """Decode all 8-bit pictures below the folders, thermal ones too, in a fixed order.

    Folders of masks, labels and others' results are left out, and so are deeper pictures and files
    that cannot be decoded.

    Returns:
        ``HxWx3`` uint8 RGB, the longer edge at most 1024.

    Raises:
        SourceError: There is no picture.
    """
    pictures = []
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            inside = path.relative_to(folder).parts[:-1]
            if path.suffix.lower() not in _SUFFIXES or _NOT_TAKEN & set(inside):
                continue
            try:
                picture = read_image(path)
            except (EncodingError, SourceError) as error:
                _log.info("left out: %s", error)
                continue
            if min(picture.shape[:2]) >= _SMALLEST:
                pictures.append(_limited(picture))
    if not pictures:
        raise SourceError(f"{' '.join(map(str, folders))}: no 8-bit pictures; give their folders")
    return pictures


def rendered_pictures(worlds: int) -> list[UInt8Image]:
    """Return both pictures of frames of synthetic scenes."""
    bases = synthetic_bases(range(1, worlds + 1))
    return [picture for base in bases for picture in (base.visible, np.dstack([base.thermal] * 3))]


def make_crops(
    pictures: Sequence[UInt8Image], recipe: MaskedRecipe, seed: int, step: int
) -> Tensor:
    """Return the ``Bx3xHxW`` crops of a step in [0, 1]; they depend on the arguments only."""
    rng = np.random.default_rng((seed, step))
    edge = int(rng.choice(recipe.crops))
    count = max(1, recipe.patches // (edge // 16) ** 2)
    crops = [
        _crop(pictures[int(rng.integers(len(pictures)))], recipe, edge, rng) for _ in range(count)
    ]
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2)


def draw_kept(recipe: MaskedRecipe, crops: Tensor, seed: int, step: int) -> Tensor:
    """Return ``BxK`` indices of the patches that the encoder sees in a step."""
    count = (crops.shape[-1] // 16) ** 2
    kept = max(1, round(count * (1 - recipe.masked)))
    rng = np.random.default_rng((seed, step, 1))
    order = rng.random((len(crops), count)).argsort(1)
    return torch.from_numpy(order[:, :kept])


def _crop(
    picture: UInt8Image, recipe: MaskedRecipe, edge: int, rng: np.random.Generator
) -> FloatImage:
    crop = crop_square(picture, recipe.scale, edge, rng).astype(np.float32) / 255
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    if rng.random() < recipe.grey:
        crop = np.repeat(crop.mean(2, keepdims=True), 3, 2)
    if rng.random() < recipe.tone:
        crop = np.clip(rng.uniform(0.6, 1.3) * crop ** rng.uniform(0.6, 1.6), 0, 1)
    return np.ascontiguousarray(crop, np.float32)


def _limited(picture: UInt8Image) -> UInt8Image:
    factor = _LARGEST / max(picture.shape[:2])
    if factor >= 1:
        return picture
    size = (round(picture.shape[1] * factor), round(picture.shape[0] * factor))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
