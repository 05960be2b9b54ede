"""Outputs that would destroy an input or each other."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from fusion_core.errors import UsageError


def refuse_overlap(inputs: Iterable[Path], outputs: Iterable[Path]) -> None:
    """Raise when writing the outputs would change an input, or two outputs are one file.

    Paths are compared after links are followed, hard links included. An output may not lie in a
    folder that is an input, nor be a folder of pictures that holds an input picture.

    Args:
        inputs: Files and folders that are read; those that do not exist are passed over.
        outputs: Files and folders that will be written, existing or not.

    Raises:
        UsageError: Two of them overlap.
    """
    existing = [path for path in inputs if path.exists()]
    written: list[Path] = []
    for output in outputs:
        for given in existing:
            if _same(output, given):
                raise UsageError(
                    f"output {output} is the input {given}: writing would destroy it; choose "
                    "another output"
                )
            if given.is_dir() and output.resolve().is_relative_to(given.resolve()):
                raise UsageError(
                    f"output {output} lies in the input {given}: choose a place outside of it"
                )
            if given.suffix.lower() == ".png" and output.resolve() == given.resolve().parent:
                raise UsageError(
                    f"output folder {output} holds the input {given}, which a picture written "
                    "there could replace; choose another folder"
                )
        for other in written:
            if _same(output, other):
                raise UsageError(
                    f"outputs {other} and {output} are the same: give every output its own name"
                )
        written.append(output)


def _same(first: Path, second: Path) -> bool:
    """Tell whether two paths lead to one file or folder."""
    if first.exists() and second.exists():
        return first.samefile(second)
    return first.resolve() == second.resolve()
