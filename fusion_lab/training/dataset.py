"""Training pairs in memory, and batches of crops that any step can recompute."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

import cv2
import numpy as np
import torch
from torch import Tensor

from fusion_core.errors import SourceError
from fusion_core.types import UInt8Image
from fusion_lab.training.augment import Augmentation, augment_pair
from fusion_lab.training.losses import saliency

IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}


@dataclass(frozen=True, slots=True)
class Pair:
    """One registered pair, decoded.

    Attributes:
        scene: Name of the recording it belongs to; pairs of one scene never get separated.
        name: Stem of both files.
        planes: ``HxWx3`` uint8: thermal, visible luma, and the saliency of the whole thermal
            picture times 255.
    """

    scene: str
    name: str
    planes: UInt8Image


class Batch(NamedTuple):
    """Crops, ``Bx1xHxW`` float32 in [0, 1] each.

    Attributes:
        thermal: Thermal crops.
        visible: Luma crops of the visible images.
        salient: Saliency of the thermal pictures the crops came from.
    """

    thermal: Tensor
    visible: Tensor
    salient: Tensor


def load_pairs(folders: Sequence[Path]) -> list[Pair]:
    """Decode all pairs below the folders, sorted, so that equal data give equal training.

    Args:
        folders: Each holds ``ir/`` and ``vi/`` with equal stems, or clips that do.

    Raises:
        SourceError: A folder holds no such pair, a stem has no partner, or the two images of a pair
            differ in size or cannot be decoded.
    """
    pairs: list[Pair] = []
    for folder in folders:
        if (folder / "vi").is_dir():
            found = [_load_pair(f"{folder}/{stem}", *files) for stem, *files in pair_files(folder)]
        else:
            clips = [clip for clip in sorted(folder.glob("*/")) if (clip / "vi").is_dir()]
            found = [_load_pair(str(c), *files) for c in clips for _, *files in pair_files(c)]
        if not found:
            raise SourceError(
                f"{folder}: no pairs; expected ir/ and vi/ of equal stems, there or one level down"
            )
        pairs += found
    return pairs


class OfScene(Protocol):
    """What knows which recording it belongs to."""

    @property
    def scene(self) -> str:
        """Name of the recording."""


PairT = TypeVar("PairT", bound=OfScene)


def split_by_scene(
    pairs: Sequence[PairT], share: float, seed: int
) -> tuple[list[PairT], list[PairT]]:
    """Split into training and validation so that no scene is in both.

    A clip is one scene; in a folder that holds pairs directly every pair is one. Whole scenes are
    drawn until at least ``share`` of the pairs are held out; one always remains for training.

    Args:
        pairs: Pairs of any number of scenes.
        share: Part to hold out, in [0, 1).
        seed: Seed of the draw.
    """
    scenes = sorted({pair.scene for pair in pairs})
    order = np.random.default_rng(seed).permutation(len(scenes))
    held: set[str] = set()
    for index in order[:-1]:
        if sum(pair.scene in held for pair in pairs) >= share * len(pairs):
            break
        held.add(scenes[index])
    kept = [pair for pair in pairs if pair.scene not in held]
    return kept, [pair for pair in pairs if pair.scene in held]


def make_batch(
    pairs: Sequence[Pair], augmentation: Augmentation, *, size: int, crop: int, seed: int, step: int
) -> Batch:
    """Return the crops of one step; they depend on nothing but the arguments.

    Args:
        pairs: Training pairs.
        augmentation: Ranges of the changes.
        size: Number of crops.
        crop: Edge of a crop in pixels.
        seed: Seed of the run.
        step: Step of the run.
    """
    rng = np.random.default_rng((seed, step))
    planes = []
    for _ in range(size):
        pair = pairs[int(rng.integers(len(pairs)))]
        planes.append(
            augment_pair(crop_square(pair.planes, augmentation, crop, rng), augmentation, rng)
        )
    stacked = torch.from_numpy(np.stack(planes))
    return Batch(*(plane.contiguous() for plane in stacked.chunk(3, dim=1)))


def whole_pair(pair: Pair) -> Batch:
    """Return a pair uncropped and unchanged, as a batch of one."""
    tensor = torch.from_numpy(pair.planes).permute(2, 0, 1).float().div(255)[None]
    return Batch(*(plane.contiguous() for plane in tensor.chunk(3, dim=1)))


def pair_files(folder: Path) -> list[tuple[str, Path, Path]]:
    """Return stem, thermal and visible file of every pair of a folder, sorted."""
    visible, thermal = _by_stem(folder / "vi"), _by_stem(folder / "ir")
    lonely = sorted(visible.keys() ^ thermal.keys())
    if lonely:
        raise SourceError(
            f"{folder}: {lonely[0]!r} is in only one of ir/ and vi/ ({len(lonely)} such stems); "
            "give every image a partner of the same stem"
        )
    return [(stem, thermal[stem], visible[stem]) for stem in sorted(visible)]


def _by_stem(folder: Path) -> dict[str, Path]:
    files = folder.iterdir() if folder.is_dir() else ()
    return {path.stem: path for path in files if path.suffix.lower() in IMAGE_SUFFIXES}


def _load_pair(scene: str, thermal_path: Path, visible_path: Path) -> Pair:
    """Decode one pair and add the saliency of its thermal picture."""
    thermal, visible = _read_gray(thermal_path), _read_gray(visible_path)
    if thermal.shape != visible.shape:
        raise SourceError(
            f"{visible_path}: {visible.shape[1]}x{visible.shape[0]} but its thermal image is "
            f"{thermal.shape[1]}x{thermal.shape[0]}; register them to one size first"
        )
    salient = saliency(torch.from_numpy(thermal).float()[None, None] / 255)[0, 0].numpy()
    salient8 = np.rint(salient * 255).astype(np.uint8)
    return Pair(scene, visible_path.stem, np.dstack([thermal, visible, salient8]))


def _read_gray(path: Path) -> UInt8Image:
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise SourceError(f"{path}: cannot be decoded as an image; replace or remove the pair")
    return np.asarray(image, dtype=np.uint8)


def crop_square(
    planes: UInt8Image, augmentation: Augmentation, crop: int, rng: np.random.Generator
) -> UInt8Image:
    """Return a random square of a random scale of ``HxWxC``, resized to ``crop`` pixels."""
    height, width = planes.shape[:2]
    low, high = (math.log(edge) for edge in augmentation.scale)
    edge = min(round(crop * math.exp(rng.uniform(low, high))), height, width)
    top, left = int(rng.integers(height - edge + 1)), int(rng.integers(width - edge + 1))
    square = planes[top : top + edge, left : left + edge]
    method = cv2.INTER_AREA if edge > crop else cv2.INTER_LINEAR
    # OpenCV resizes at most four planes at once.
    parts = (square[..., first : first + 3] for first in range(0, planes.shape[2], 3))
    return np.dstack([cv2.resize(part, (crop, crop), interpolation=method) for part in parts])
