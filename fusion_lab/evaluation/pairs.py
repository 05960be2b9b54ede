"""Registered pairs in folders: ``DIR/vi`` and ``DIR/ir`` with equal stems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from fusion_core.errors import EncodingError, SourceError
from fusion_core.types import UInt8Image
from fusion_lab.metrics import to_gray

_IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"})
_SPLITS = frozenset({"train", "val", "test"})


@dataclass(frozen=True, slots=True)
class PairPaths:
    """Where the two images of one pair lie.

    Attributes:
        stem: Common stem of both files.
        visible: The visible image.
        thermal: The thermal image.
    """

    stem: str
    visible: Path
    thermal: Path


@dataclass(frozen=True, slots=True)
class ImagePair:
    """One pair as read.

    Attributes:
        stem: Common stem of both files.
        visible: ``HxWx3`` uint8 RGB.
        thermal: ``HxW`` uint8 gray.
    """

    stem: str
    visible: UInt8Image
    thermal: UInt8Image


def list_pairs(folders: Sequence[Path]) -> list[PairPaths]:
    """Return the pairs of all folders, sorted by stem within each.

    Raises:
        SourceError: A folder is missing or empty, a stem lacks its partner or occurs twice.
    """
    pairs: list[PairPaths] = []
    for folder in folders:
        visible, thermal = images_by_stem(folder / "vi"), images_by_stem(folder / "ir")
        alone = sorted(visible.keys() ^ thermal.keys())
        if alone:
            missing = "ir" if alone[0] in visible else "vi"
            raise SourceError(
                f"{folder}: {alone[0]!r} has no partner in {missing}/ ({len(alone)} such stems); "
                "give vi and ir the same stems"
            )
        pairs += [PairPaths(stem, visible[stem], thermal[stem]) for stem in sorted(visible)]
    seen: set[str] = set()
    for pair in pairs:
        if pair.stem in seen:
            raise SourceError(
                f"stem {pair.stem!r} occurs in two data folders; evaluate the folders one by one"
            )
        seen.add(pair.stem)
    return pairs


def images_by_stem(folder: Path) -> dict[str, Path]:
    """Return the images of a folder by stem.

    Raises:
        SourceError: No such folder, no image in it, or two images of one stem.
    """
    if not folder.is_dir():
        raise SourceError(f"{folder}: no such folder; expected a folder of images")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in _IMAGE_SUFFIXES:
            continue
        if path.stem in found:
            raise SourceError(
                f"{folder}: {found[path.stem].name} and {path.name} share a stem; keep one"
            )
        found[path.stem] = path
    if not found:
        kinds = " ".join(sorted(_IMAGE_SUFFIXES))
        raise SourceError(f"{folder}: no images; expected files ending in {kinds}")
    return found


def read_image(path: Path) -> UInt8Image:
    """Return an 8-bit image as ``HxW`` gray or ``HxWx3`` RGB, without its alpha channel.

    Raises:
        SourceError: The file cannot be decoded.
        EncodingError: The image is not 8-bit.
    """
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise SourceError(f"{path}: cannot be decoded as an image; replace or remove the file")
    if image.dtype != np.uint8:
        raise EncodingError(
            f"{path}: {image.dtype} image; metrics are defined on 8-bit images, convert it first"
        )
    if image.ndim == 2:
        return np.asarray(image, dtype=np.uint8)
    return np.ascontiguousarray(image[:, :, 2::-1], dtype=np.uint8)


def read_pair(paths: PairPaths) -> ImagePair:
    """Read both images of a pair.

    Raises:
        SourceError: A file cannot be decoded, or the images differ in size.
        EncodingError: An image is not 8-bit.
    """
    visible, thermal = read_image(paths.visible), to_gray(read_image(paths.thermal))
    if visible.ndim == 2:
        visible = np.repeat(visible[:, :, None], 3, axis=2)
    if visible.shape[:2] != thermal.shape:
        raise SourceError(
            f"{paths.stem}: visible is {visible.shape[1]}x{visible.shape[0]}, thermal "
            f"{thermal.shape[1]}x{thermal.shape[0]} (width x height); register the pair first"
        )
    return ImagePair(paths.stem, visible, thermal)


def dataset_name(folders: Sequence[Path]) -> str:
    """Return a name for the data: folder names, with the parent's where that is only a split."""
    names = []
    for folder in folders:
        path = folder.resolve()
        split = path.name in _SPLITS and path.parent.name
        names.append(f"{path.parent.name}/{path.name}" if split else path.name)
    return "+".join(names)
