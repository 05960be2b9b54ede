"""Clean colour pairs to degrade: folders of pictures and registered videos."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from fusion_core.errors import SourceError
from fusion_core.source import open_source
from fusion_core.types import UInt8Image
from fusion_lab.training.dataset import pair_files

# Neighbouring frames of a video show nearly the same.
_EVERY = 10


@dataclass(frozen=True, slots=True)
class Picture:
    """One registered pair, decoded.

    Attributes:
        scene: Recording it belongs to.
        name: Stem of its files, or number of the frame.
        visible: ``HxWx3`` uint8 RGB.
        thermal: ``HxW`` uint8.
    """

    scene: str
    name: str
    visible: UInt8Image
    thermal: UInt8Image


def load_pictures(folders: Sequence[Path]) -> list[Picture]:
    """Decode all pairs below the folders, in a fixed order; of videos every tenth frame.

    Args:
        folders: Each holds ``ir/`` and ``vi/`` with equal stems, or the registered videos
            ``ir.mp4`` and ``vi.mp4``, or clips that do.

    Raises:
        SourceError: A folder holds no such pair, or a file cannot be decoded.
    """
    pictures: list[Picture] = []
    for folder in folders:
        clips = [folder] if _holds_pairs(folder) else sorted(folder.glob("*/"))
        found = [
            picture
            for clip in clips
            if _holds_pairs(clip)
            for picture in _clip(clip, single=clip != folder)
        ]
        if not found:
            raise SourceError(
                f"{folder}: no pairs; expected ir/ and vi/ of equal stems, or ir.mp4 and vi.mp4, "
                "there or one level down"
            )
        pictures += found
    return pictures


def _holds_pairs(folder: Path) -> bool:
    return (folder / "vi").is_dir() or (folder / "vi.mp4").is_file()


def _clip(folder: Path, *, single: bool) -> Iterator[Picture]:
    """Iterate over the pairs of one folder; those of a clip are one scene."""
    if (folder / "vi.mp4").is_file():
        yield from _video(folder)
        return
    for stem, thermal_path, visible_path in pair_files(folder):
        visible = cv2.imread(str(visible_path), cv2.IMREAD_COLOR)
        thermal = cv2.imread(str(thermal_path), cv2.IMREAD_GRAYSCALE)
        if visible is None or thermal is None or visible.shape[:2] != thermal.shape:
            raise SourceError(f"{visible_path}: cannot be decoded, or differs in size from thermal")
        rgb = np.ascontiguousarray(visible[..., ::-1], np.uint8)
        scene = str(folder) if single else f"{folder}/{stem}"
        yield Picture(scene, stem, rgb, np.asarray(thermal, np.uint8))


def _video(folder: Path) -> Iterator[Picture]:
    """Iterate over every tenth frame of a registered pair of videos."""
    waiting: dict[int, UInt8Image] = {}
    paths = {"visible": str(folder / "vi.mp4"), "thermal": str(folder / "ir.mp4")}
    with open_source(**paths) as source:
        for frame in source.frames():
            if frame.sequence % _EVERY:
                continue
            other = waiting.pop(frame.sequence, None)
            if other is None:
                waiting[frame.sequence] = frame.image
                continue
            pair = (frame.image, other) if frame.modality == "visible" else (other, frame.image)
            visible, thermal = (np.asarray(image, np.uint8) for image in pair)
            grey = thermal if thermal.ndim == 2 else thermal[..., 0]
            yield Picture(str(folder), str(frame.sequence), visible, np.ascontiguousarray(grey))
