"""The sets of pictures that a command line names, and where their results go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fusion_core.errors import SourceError, UsageError
from fusion_core.source.image_files import list_images

_SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")


@dataclass(frozen=True, slots=True)
class PictureSet:
    """Pictures that are fused into one.

    Attributes:
        name: Their common stem, or the first one's.
        files: Two or more.
    """

    name: str
    files: tuple[Path, ...]


def one_set(files: Sequence[Path]) -> PictureSet:
    """Return the set of pictures that were named one by one.

    Raises:
        UsageError: Fewer than two, or one of them twice.
        SourceError: One does not exist.
    """
    _require_two(files)
    for number, path in enumerate(files):
        if not path.is_file():
            raise SourceError(f"{path}: no such file; give pictures, or folders of equal stems")
        if any(path.samefile(other) for other in files[:number]):
            raise UsageError(f"{path} is given twice: it would be fused with itself")
    return PictureSet(files[0].stem, tuple(files))


def list_sets(folders: Sequence[Path]) -> list[PictureSet]:
    """Return the sets of folders of equal stems, in natural order of the stems.

    Raises:
        UsageError: Fewer than two folders, or pictures among them.
        SourceError: A folder holds no pictures, two of one stem, or lacks a stem of the first.
    """
    _require_two(folders)
    for path in folders:
        if not path.is_dir():
            raise UsageError(f"{path} is no folder, but others are: give only folders, or none")
    found = [_by_stem(folder) for folder in folders]
    first = found[0]
    for folder, files in zip(folders, found, strict=True):
        alone = sorted(first.keys() ^ files.keys())
        if alone:
            raise SourceError(
                f"{alone[0]!r} is in only one of {folders[0]} and {folder} ({len(alone)} such "
                "stems); give the folders the same stems"
            )
    return [PictureSet(stem, tuple(files[stem] for files in found)) for stem in first]


def check_target(destination: str, *, folder: bool) -> None:
    """Refuse a destination of the wrong form.

    Args:
        destination: As given.
        folder: It must be a folder; else one picture.

    Raises:
        UsageError: It is not.
    """
    is_folder = destination.endswith("/") or Path(destination).is_dir()
    if folder and not is_folder:
        raise UsageError(f"{destination}: folders of pictures go to a folder; write {destination}/")
    if not folder and (is_folder or Path(destination).suffix.lower() not in _SUFFIXES):
        raise UsageError(
            f"{destination}: one set of pictures goes to a file that ends in {' '.join(_SUFFIXES)}"
        )


def _require_two(paths: Sequence[Path]) -> None:
    if len(paths) < 2:
        raise UsageError(f"{len(paths)} input(s) given: fusion takes two or more")


def _by_stem(folder: Path) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for path in list_images(folder):
        if path.stem in files:
            raise SourceError(
                f"{folder}: {files[path.stem].name} and {path.name} share a stem; keep one"
            )
        files[path.stem] = path
    return files
