"""Folders of registered pairs: two folders of equal stems, named after the task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

from fusion_core.errors import SourceError

FusionTask = Literal["vif", "mef", "mff"]
"""Visible and infrared, multi-exposure, and multi-focus fusion."""

_IMAGE_SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"})
_SPLITS: Final = frozenset({"train", "val", "test"})
_TARGETS: Final = "gt"


@dataclass(frozen=True, slots=True)
class Layout:
    """The folders of a task; videos of a pair have the same names.

    Attributes:
        first: Folder of the first pictures: visible, under-exposed, focused on one part.
        second: Folder of the second ones: thermal, over-exposed, focused on the other part.
        titles: What the two show, for tables and pages.
    """

    first: str
    second: str
    titles: tuple[str, str]


LAYOUTS: Mapping[FusionTask, Layout] = MappingProxyType(
    {
        "vif": Layout("vi", "ir", ("visible", "thermal")),
        "mef": Layout("a", "b", ("under-exposed", "over-exposed")),
        "mff": Layout("a", "b", ("first focus", "second focus")),
    }
)


@dataclass(frozen=True, slots=True)
class PairFiles:
    """Where one pair lies.

    Attributes:
        folder: Folder that holds the folders of the task, and ``labels/`` and the like beside them.
        stem: Common stem of all files.
        task: What the pair is for.
        first: The first picture.
        second: The second picture.
        target: The picture that fusion should give, where ``gt/`` holds it.
    """

    folder: Path
    stem: str
    task: FusionTask
    first: Path
    second: Path
    target: Path | None


def pair_files(folder: Path, task: FusionTask = "vif") -> list[PairFiles]:
    """Return the pairs of one folder, sorted by stem.

    Raises:
        SourceError: A folder of the task is missing or empty, or a stem lacks a file.
    """
    layout = LAYOUTS[task]
    if not (folder / layout.first).is_dir():
        raise SourceError(
            f"{folder / layout.first}: no such folder; task {task} reads {layout.first}/ and "
            f"{layout.second}/ of {folder}"
        )
    names = [layout.first, layout.second, *([_TARGETS] if (folder / _TARGETS).is_dir() else [])]
    found = {name: images_by_stem(folder / name) for name in names}
    first, second = found[layout.first], found[layout.second]
    for name, files in found.items():
        alone = sorted((first.keys() | second.keys()) ^ files.keys())
        if alone:
            raise SourceError(
                f"{folder}: {alone[0]!r} has no partner in {name}/ ({len(alone)} such stems); "
                f"give {', '.join(names)} the same stems"
            )
    targets = found.get(_TARGETS, {})
    return [
        PairFiles(folder, stem, task, first[stem], second[stem], targets.get(stem))
        for stem in sorted(first)
    ]


def list_pairs(folders: Sequence[Path], task: FusionTask = "vif") -> list[PairFiles]:
    """Return the pairs of several folders, each stem once.

    Raises:
        SourceError: A folder is missing or empty, a stem lacks its partner or occurs twice.
    """
    pairs = [files for folder in folders for files in pair_files(folder, task)]
    seen: set[str] = set()
    for files in pairs:
        if files.stem in seen:
            raise SourceError(
                f"stem {files.stem!r} occurs in two data folders; evaluate the folders one by one"
            )
        seen.add(files.stem)
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
        if path.suffix.lower() not in _IMAGE_SUFFIXES or path.name.startswith("."):
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


def dataset_name(folders: Sequence[Path]) -> str:
    """Return a name for the data: folder names, with the parent's where that is only a split."""
    names = []
    for folder in folders:
        path = folder.resolve()
        split = path.name in _SPLITS and path.parent.name
        names.append(f"{path.parent.name}/{path.name}" if split else path.name)
    return "+".join(names)
