"""Labels for frames that nobody labelled, from a trained detector that looks several times.

It looks at every frame and at its mirror image, whole and in parts. What it finds in nearly every
look is an object, what it finds in some is not known and left out of training, and the rest, warm
things that never pass for a person among them, is background (Radosavovic et al., Data
distillation, CVPR 2018).
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.detection import Detector
from fusion_core.detection.boxes import overlaps
from fusion_core.detection.labels import labelled_stems
from fusion_core.errors import SinkError, UsageError
from fusion_core.types import Detection, UInt8Image
from fusion_lab.data import Example, aligned_pair, read_examples

SURE: Final = 0.5
"""Mean score over the looks from which on something is an object."""
FAINT: Final = 0.12
"""Mean score below which it is background; between both it is not known."""
_LEAST: Final = 0.05
_SAME: Final = 0.5  # overlap from which on two looks mean one object
_IGNORE: Final = "ignore"


@dataclass(frozen=True, slots=True)
class Labelled:
    """How much was labelled.

    Attributes:
        frames: Number of frames.
        objects: Objects in them.
        doubtful: Regions that are labelled ``ignore``.
    """

    frames: int
    objects: int
    doubtful: int


def label_frames(
    recordings: Sequence[Path], teachers: Sequence[Detector], out: Path, every: int
) -> Labelled:
    """Write ``NAME/vi``, ``ir`` and ``labels`` of frames that have no labels.

    Args:
        recordings: Folders of pairs, of clips, or with registered videos, of which every tenth
            frame is a candidate.
        teachers: Detectors that look at each frame, such as one with and one without tiles.
        out: Folder to write to.
        every: Every n-th of the unlabelled candidates of a recording is taken.

    Raises:
        UsageError: Two recordings have one name.
        SourceError: A recording holds no pairs, or one cannot be read.
        SinkError: The folder cannot be written.
    """
    by_folder: dict[Path, list[Example]] = {}
    for pair in read_examples(recordings):
        by_folder.setdefault(pair.folder, []).append(pair)
    _check_names(by_folder)
    kinds: list[str] = []
    count = 0
    for folder, pairs in by_folder.items():
        known = {_stem(name) for name in labelled_stems(folder / "labels")}
        for pair in [each for each in pairs if _stem(each.name) not in known][::every]:
            labels = agreed(looks(pair, teachers))
            _write(out / folder.name, pair, labels)
            kinds += [label for label, _ in labels]
            count += 1
    doubtful = kinds.count(_IGNORE)
    return Labelled(count, len(kinds) - doubtful, doubtful)


def _check_names(folders: Iterable[Path]) -> None:
    """Refuse two recordings whose labels would lie in one folder."""
    first: dict[str, Path] = {}
    for folder in folders:
        if first.setdefault(folder.name, folder) != folder:
            raise UsageError(
                f"{folder}: has the name of {first[folder.name]}; label them one after the other"
            )


def _stem(name: str) -> str:
    """Return the stem of the files of a frame; numbers of frames have four digits and more."""
    return f"{int(name):04d}" if name.isdecimal() else name


def looks(pair: Example, teachers: Sequence[Detector]) -> list[tuple[Detection, ...]]:
    """Return what each teacher finds in a pair, and in its mirror image, in the pair's pixels."""
    width = pair.second.shape[1]
    plain = aligned_pair(pair.first, pair.second)
    mirrored = aligned_pair(pair.first[:, ::-1], pair.second[:, ::-1])
    found: list[tuple[Detection, ...]] = []
    for teacher in teachers:
        found.append(teacher.detect(plain.visible, plain, score=_LEAST))
        turned = teacher.detect(mirrored.visible, mirrored, score=_LEAST)
        found.append(tuple(_turned(each, width) for each in turned))
    return found


def agreed(found: Sequence[Sequence[Detection]]) -> list[tuple[str, NDArray[np.float64]]]:
    """Return label and ``(left, top, right, bottom)`` of what the looks agree on.

    Doubtful ones are labelled ``ignore``.

    Args:
        found: What each look found.
    """
    labels: list[tuple[str, NDArray[np.float64]]] = []
    left = [list(look) for look in found]
    while any(left):
        best = max((each for look in left for each in look), key=lambda each: each.score)
        own = [_taken(look, best) for look in left]
        score = sum(each.score for each in own if each) / len(found)
        if score >= FAINT:
            boxes = [(each.score, _corners(each)) for each in own if each]
            box = sum(s * b for s, b in boxes) / sum(s for s, _ in boxes)
            labels.append((best.label if score >= SURE else _IGNORE, np.asarray(box)))
    return labels


def _taken(look: list[Detection], best: Detection) -> Detection | None:
    """Take the one out of a look that means the same object as ``best``, with what doubles it."""
    same = [each for each in look if each.label == best.label and _overlap(each, best) > _SAME]
    for each in same:
        look.remove(each)
    return max(same, key=lambda each: each.score, default=None)


def _overlap(first: Detection, second: Detection) -> float:
    return float(overlaps(_corners(first)[None], _corners(second)[None])[0, 0])


def _corners(found: Detection) -> NDArray[np.float64]:
    x, y, width, height = found.box
    return np.array([x, y, x + width, y + height])


def _turned(found: Detection, width: int) -> Detection:
    x, y, w, h = found.box
    return Detection(found.label, found.score, (width - x - w, y, w, h))


def _write(folder: Path, pair: Example, labels: Iterable[tuple[str, NDArray[np.float64]]]) -> None:
    stem = _stem(pair.name)
    _write_picture(folder / "vi" / f"{stem}.png", np.asarray(pair.first[..., ::-1]))
    _write_picture(folder / "ir" / f"{stem}.png", pair.second)
    (folder / "labels").mkdir(exist_ok=True)
    with (folder / "labels" / f"{stem}.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("label", "x", "y", "w", "h"))
        for label, (x0, y0, x1, y1) in labels:
            rows.writerow((label, *(round(float(v), 1) for v in (x0, y0, x1 - x0, y1 - y0))))


def _write_picture(path: Path, image: UInt8Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), image):
        raise SinkError(f"{path}: cannot be written; check the folder")
