"""Decode pairs: from folders of images, and from registered videos."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.detection.labels import labelled_stems
from fusion_core.errors import EncodingError, SourceError
from fusion_core.source import open_source
from fusion_core.transport.picture import decode_picture
from fusion_core.types import Modality, UInt8Image
from fusion_lab.data.example import Example
from fusion_lab.data.labels import load_labels
from fusion_lab.data.layout import LAYOUTS, FusionTask, PairFiles, pair_files
from fusion_lab.metrics import to_gray

# Neighbouring frames of a video show nearly the same.
_EVERY: Final = 10


@dataclass(frozen=True, slots=True)
class Needs:
    """What is read beside the two pictures of a pair, and which pairs.

    Attributes:
        luma: Read the luma of the pictures only, which takes a third of the memory.
        labels: Read labelled pairs only, with their boxes; of videos the labelled frames.
        mask: Read masks where there are any.
    """

    luma: bool = False
    labels: bool = False
    mask: bool = False


PICTURES: Final = Needs()


def read_examples(
    folders: Sequence[Path], task: FusionTask = "vif", needs: Needs = PICTURES
) -> list[Example]:
    """Decode all pairs below the folders, in a fixed order, so that equal data train equally.

    Args:
        folders: Each holds the two folders of the task with equal stems, or two registered videos
            of these names (``vi.mp4`` and ``ir.mp4``), or clips that do. Of a video every tenth
            frame is read, or those that have labels.
        task: Names the folders, see ``LAYOUTS``.
        needs: What to read beside the pictures.

    Raises:
        SourceError: A folder holds no such pair, a stem has no partner, or a file is missing, torn
            or of another size.
        EncodingError: An image is not 8-bit.
    """
    examples: list[Example] = []
    for folder in folders:
        clips = [folder] if _holds_pairs(folder, task) else sorted(folder.glob("*/"))
        found = [
            example
            for clip in clips
            if _holds_pairs(clip, task) and (not needs.labels or (clip / "labels").is_dir())
            for example in _read_clip(clip, task, needs, one_scene=clip != folder)
        ]
        if not found:
            first, second = LAYOUTS[task].first, LAYOUTS[task].second
            kind, labels = ("labelled pairs", " beside labels/") if needs.labels else ("pairs", "")
            raise SourceError(
                f"{folder}: no {kind}; expected {first}/ and {second}/ of equal stems, or "
                f"{first}.mp4 and {second}.mp4,{labels} there or one level down"
            )
        examples += found
    return examples


def read_example(files: PairFiles, needs: Needs = PICTURES, scene: str = "") -> Example:
    """Decode one pair.

    Args:
        files: Where it lies.
        needs: What to read beside the pictures.
        scene: Name of its recording; default: the pair is a scene of its own.

    Raises:
        SourceError: A file is missing, torn or of another size.
        EncodingError: An image is not 8-bit.
    """
    read = _read_luma if needs.luma else read_image
    first, second = read(files.first), read(files.second)
    if files.task == "vif":
        second = to_gray(second)
    target = read(files.target) if files.target else None
    _check_sizes(files, first, second, target)
    return _example(
        (first, second, target),
        needs,
        folder=files.folder,
        name=files.stem,
        task=files.task,
        scene=scene or f"{files.folder}/{files.stem}",
    )


def read_image(path: Path) -> UInt8Image:
    """Return an 8-bit image as ``HxWx3`` RGB, without its alpha channel.

    Raises:
        SourceError: The file cannot be decoded.
        EncodingError: The image is not 8-bit.
    """
    return np.ascontiguousarray(_decode(path, cv2.IMREAD_COLOR)[..., ::-1], np.uint8)


def _read_luma(path: Path) -> UInt8Image:
    """Return the luma of an 8-bit image, ``HxW``; that of a JPEG file as it is stored."""
    return np.asarray(_decode(path, cv2.IMREAD_GRAYSCALE), np.uint8)


def _decode(path: Path, flags: int) -> NDArray[Any]:
    try:
        image = decode_picture(path.read_bytes(), flags=flags | cv2.IMREAD_ANYDEPTH)
    except (EncodingError, OSError) as error:
        raise SourceError(
            f"{path}: cannot be decoded as an image ({error}); replace or remove the file"
        ) from error
    return _eight_bit(path, image)


def _eight_bit(path: Path, image: NDArray[Any]) -> NDArray[Any]:
    if image.dtype != np.uint8:
        raise EncodingError(
            f"{path}: {image.dtype} image; pairs and metrics are 8-bit, convert it first"
        )
    return image


def _check_sizes(
    files: PairFiles, first: UInt8Image, second: UInt8Image, target: UInt8Image | None
) -> None:
    for path, image in ((files.second, second), (files.target, target)):
        if image is not None and image.shape[:2] != first.shape[:2]:
            raise SourceError(
                f"{path}: {_size(image)}, but {files.first} is {_size(first)} (width x height); "
                "register them to one size first"
            )


def _size(image: UInt8Image) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"


def _holds_pairs(folder: Path, task: FusionTask) -> bool:
    first = LAYOUTS[task].first
    return (folder / first).is_dir() or (folder / f"{first}.mp4").is_file()


def _read_clip(clip: Path, task: FusionTask, needs: Needs, *, one_scene: bool) -> Iterator[Example]:
    """Iterate over the pairs of one folder; those of a clip or a video are one scene."""
    if (clip / f"{LAYOUTS[task].first}.mp4").is_file():
        yield from _read_videos(clip, task, needs)
        return
    files = {entry.stem: entry for entry in pair_files(clip, task)}
    for stem in labelled_stems(clip / "labels") if needs.labels else files:
        if stem not in files:
            raise SourceError(
                f"{clip}: {stem!r} has labels, but no picture; every label needs its pair"
            )
        yield read_example(files[stem], needs, str(clip) if one_scene else "")


def _read_videos(clip: Path, task: FusionTask, needs: Needs) -> Iterator[Example]:
    """Iterate over every tenth frame, or the labelled ones, of a registered pair of videos."""
    layout = LAYOUTS[task]
    names = None
    if needs.labels:
        names = {int(stem): stem for stem in labelled_stems(clip / "labels")}
    # Labelled frames are decoded to RGB and then to gray, others to luma at once. The two differ
    # by up to two levels; the recipes of the weights that ship were run with either.
    modality: Modality = "thermal" if task == "vif" and names is None else "visible"
    first = _frames(clip / f"{layout.first}.mp4", "visible", names)
    second = _frames(clip / f"{layout.second}.mp4", modality, names)
    for (number, one), (_, other) in zip(first, second, strict=False):
        name = str(number) if names is None else names[number]
        if one.shape[:2] != other.shape[:2]:
            raise SourceError(
                f"{clip}: frames of {_size(one)} and {_size(other)} pixels; register the videos "
                "to one size first"
            )
        pictures = (
            to_gray(one) if needs.luma else one,
            to_gray(other) if needs.luma or task == "vif" else other,
            None,
        )
        yield _example(pictures, needs, folder=clip, name=name, task=task, scene=str(clip))


def _frames(
    path: Path, modality: Modality, chosen: dict[int, str] | None
) -> Iterator[tuple[int, UInt8Image]]:
    """Iterate over numbers and images of the chosen frames of a video, or of every tenth."""
    last = max(chosen, default=-1) if chosen is not None else -1
    number = -1
    visible, thermal = (path, None) if modality == "visible" else (None, path)
    with open_source(visible=visible, thermal=thermal) as source:
        for frame in source.frames():
            number = frame.sequence
            if (number % _EVERY == 0) if chosen is None else (number in chosen):
                yield number, np.asarray(_eight_bit(path, frame.image), np.uint8)
            if chosen is not None and number >= last:
                return
    if number < last:
        raise SourceError(f"{path}: ends before frame {last}, which has a label")


def _example(
    pictures: tuple[UInt8Image, UInt8Image, UInt8Image | None],
    needs: Needs,
    *,
    folder: Path,
    name: str,
    task: FusionTask,
    scene: str,
) -> Example:
    """Add what lies beside a decoded pair."""
    first, second, target = pictures
    height, width = first.shape[:2]
    text = folder / "text" / f"{name}.txt"
    return Example(
        first=first,
        second=second,
        target=target,
        task=task,
        text=text.read_text(encoding="utf-8").strip() if text.is_file() else "",
        mask=_mask(folder / "masks" / f"{name}.png", (height, width)) if needs.mask else None,
        labels=load_labels(folder / "labels", name, height, width) if needs.labels else None,
        folder=folder,
        name=name,
        scene=scene,
    )


def _mask(path: Path, shape: tuple[int, int]) -> UInt8Image | None:
    if not path.is_file():
        return None
    mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if mask is None:
        raise SourceError(f"{path}: cannot be decoded as an image; replace or remove the mask")
    if mask.shape != shape:
        raise SourceError(
            f"{path}: {mask.shape[1]}x{mask.shape[0]} but its pictures are {shape[1]}x{shape[0]}; "
            "masks lie on the pictures' grid"
        )
    return np.asarray(mask, np.uint8)
