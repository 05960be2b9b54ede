"""The log of a run: JSON lines, and TensorBoard where that is installed."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import cv2

from fusion_core.errors import missing_extra

_log = logging.getLogger(__name__)


class RunLog:
    """Log of one run; a resumed run appends to it.

    Args:
        folder: Folder of the run: ``log.jsonl`` and ``tensorboard/``.
        first_step: Step at which the run starts or continues; later events of an earlier try are
            hidden.
    """

    def __init__(self, folder: Path, first_step: int) -> None:
        self._file: IO[str] = (folder / "log.jsonl").open("a", encoding="utf-8")
        self._board = _open_board(folder / "tensorboard", first_step)

    def __enter__(self) -> RunLog:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        if self._board is not None:
            self._board.close()

    def add(self, entry: Mapping[str, Any]) -> None:
        """Write an entry, a nested mapping of numbers with the key ``step``."""
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()
        if self._board is not None:
            for name, value in _flat({key: entry[key] for key in entry if key != "step"}):
                self._board.add_scalar(name, value, entry["step"])

    def add_sheet(self, step: int, sheet: Path) -> None:
        """Show a picture sheet that was written to ``sheet``; nothing when there is none."""
        if self._board is not None and sheet.is_file():
            image = cv2.imread(str(sheet), cv2.IMREAD_GRAYSCALE)
            self._board.add_image("held out", image, step, dataformats="HW")


def _flat(entry: Mapping[str, Any], prefix: str = "") -> list[tuple[str, float]]:
    """Return ``(a/b, value)`` for every number of a nested mapping."""
    pairs: list[tuple[str, float]] = []
    for key, value in entry.items():
        if isinstance(value, Mapping):
            pairs += _flat(value, f"{prefix}{key}/")
        else:
            pairs.append((f"{prefix}{key}", float(value)))
    return pairs


def _open_board(folder: Path, first_step: int) -> Any:  # noqa: ANN401 - no type without the package
    """Return a TensorBoard writer, None where the package is missing."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        _log.info("%s", missing_extra("the TensorBoard log", "tensorboard", "lab"))
        return None
    return SummaryWriter(str(folder), purge_step=first_step or None)
