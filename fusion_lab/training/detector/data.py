"""Labelled pairs in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from fusion_core.detection.labels import labelled_stems
from fusion_core.errors import SourceError
from fusion_core.types import UInt8Image
from fusion_lab.training.dataset import IMAGE_SUFFIXES
from fusion_lab.training.detector.labels import Labels, load_labels


@dataclass(frozen=True, slots=True)
class LabelledPair:
    """One registered pair and what it shows.

    Attributes:
        name: Where it was read.
        planes: ``HxWx4`` uint8 red, green, blue, thermal.
        labels: Boxes on its grid.
    """

    name: str
    planes: UInt8Image
    labels: Labels


def load_labelled(folders: Sequence[Path]) -> list[LabelledPair]:
    """Decode all labelled pairs of the folders, sorted, so that equal data give equal training.

    Args:
        folders: Each holds ``labels/`` and either ``vi/`` and ``ir/`` of equal stems or the videos
            ``vi.mp4`` and ``ir.mp4`` with labels named by frame; or subfolders that do.

    Raises:
        SourceError: A folder holds no labelled pair, or a file is missing, torn or of another size.
    """
    return [pair for folder in folders for pair in _load_folder(folder)]


def _load_folder(folder: Path) -> list[LabelledPair]:
    clips = [folder] if (folder / "labels").is_dir() else sorted(folder.glob("*/"))
    found = [pair for clip in clips if (clip / "labels").is_dir() for pair in _load_clip(clip)]
    if not found:
        raise SourceError(
            f"{folder}: no labelled pairs; expected vi/, ir/ and labels/, there or one level "
            "down, or videos vi.mp4 and ir.mp4 beside labels/"
        )
    return found


def _load_clip(clip: Path) -> Iterator[LabelledPair]:
    folder = clip / "labels"
    stems = labelled_stems(folder)
    if (clip / "vi.mp4").is_file():
        wanted = [int(stem) for stem in stems]
        streams = [_frames(clip / f"{name}.mp4", wanted) for name in ("vi", "ir")]
    else:
        streams = [[_image(clip / name, stem) for stem in stems] for name in ("vi", "ir")]
    for stem, visible, thermal in zip(stems, *streams, strict=True):
        if visible.shape != thermal.shape:
            raise SourceError(
                f"{folder / stem}: its images have {visible.shape[1]}x{visible.shape[0]} and "
                f"{thermal.shape[1]}x{thermal.shape[0]} pixels; register them to one size first"
            )
        gray = cv2.cvtColor(thermal, cv2.COLOR_RGB2GRAY)
        planes = np.ascontiguousarray(np.dstack([visible, gray]))
        labels = load_labels(folder, stem, *gray.shape)
        yield LabelledPair(str(folder / stem), planes, labels)


def _image(folder: Path, stem: str) -> UInt8Image:
    """Return ``HxWx3`` RGB of the image of a stem."""
    for path in folder.glob(f"{stem}.*"):
        if path.suffix.lower() in IMAGE_SUFFIXES:
            image = cv2.imread(str(path), cv2.IMREAD_COLOR)
            if image is None:
                break
            return np.asarray(image[..., ::-1], np.uint8)
    raise SourceError(f"{folder / stem}: no image that can be decoded; every label needs its pair")


def _frames(path: Path, wanted: Sequence[int]) -> list[UInt8Image]:
    """Return the frames of a video with the given numbers as ``HxWx3`` RGB."""
    capture = cv2.VideoCapture(str(path))
    kept: list[UInt8Image] = []
    try:
        for number in range(max(wanted, default=-1) + 1):
            if not capture.grab():
                raise SourceError(f"{path}: ends before frame {number}, which has a label")
            if number == wanted[len(kept)]:
                kept.append(np.asarray(capture.retrieve()[1][..., ::-1], np.uint8))
    finally:
        capture.release()
    return kept
