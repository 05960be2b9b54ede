"""A run as one page: pictures, plots and counters in a single file that works offline."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fusion_core.errors import SinkError, missing_extra
from fusion_core.runtime.files import atomic_path
from fusion_core.sink.base import make_folder
from fusion_core.sink.report_page import render_page
from fusion_core.sink.report_plots import MemorySample, draw_plots
from fusion_core.sink.report_series import Album, Timeline
from fusion_core.types import FusedFrame

_MEMORY_SAMPLES = 400


class HtmlReport:
    """Collect a run in bounded memory and write it as one HTML page when it ends.

    Args:
        path: File to write; an old one is replaced when the report is closed.

    Raises:
        MissingExtraError: matplotlib is not installed.
        SinkError: The folder cannot be created, or ``path`` is a folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if importlib.util.find_spec("matplotlib") is None:
            raise missing_extra(f"{path}: a report", "matplotlib", "report")
        if self.path.is_dir():
            raise SinkError(f"{path}: is a folder; give a file name such as report.html")
        make_folder(self.path.parent)
        self._timeline, self._album = Timeline(), Album()
        self._memory: list[MemorySample] = []
        self._frames = 0
        self._closed = False

    def write(self, fused: FusedFrame) -> None:
        """Take in one result."""
        self._timeline.add(fused)
        self._album.add(fused)
        self._frames += 1

    def add_memory(self, stats: Mapping[str, Any]) -> None:
        """Take in the memory bank's statistics, as of now.

        Args:
            stats: ``updates`` and ``uses`` per slot, ``accepted``, ``rejected``, ``threshold``
                (None while every score is accepted) and ``diversity``.
        """
        self._memory.append((self._frames, dict(stats)))
        if len(self._memory) > _MEMORY_SAMPLES:
            del self._memory[1::2]

    def close(self, summary: Mapping[str, Any]) -> None:
        """Write the page; a second call does nothing.

        Args:
            summary: The content of ``run.json``.

        Raises:
            SinkError: The file cannot be written.
        """
        if self._closed:
            return
        self._closed = True
        plots = draw_plots(self._timeline, self._memory)
        page = render_page(summary, self._album.moments(), plots)
        try:
            with atomic_path(self.path) as temporary:
                temporary.write_text(page, encoding="utf-8")
        except OSError as error:
            raise SinkError(
                f"{self.path}: cannot be written ({error.strerror}); choose another place"
            ) from None
