"""A run as one HTML page: a single file with pictures, plots and counters that works offline."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fusion_core.errors import SinkError
from fusion_core.pages import require_page_packages
from fusion_core.runtime.files import atomic_path, resolve_file
from fusion_core.sink.base import make_folder
from fusion_core.sink.report_page import render_report
from fusion_core.sink.report_plots import MemorySample, draw_plots
from fusion_core.sink.report_series import SampleSelector, Timeline
from fusion_core.types import FusedFrame

_MEMORY_SAMPLES = 400


class HtmlReport:
    """Collect a run in bounded memory and write it as one HTML page when it ends.

    Args:
        path: File to write; an old one is replaced when the report is closed.

    Raises:
        MissingExtraError: jinja2 or matplotlib is not installed.
        SinkError: The folder cannot be created, or ``path`` is no file that can be replaced.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        require_page_packages(str(path))
        make_folder(self.path.parent)
        try:
            resolve_file(self.path)
        except OSError as error:
            raise SinkError(
                f"{path}: cannot be written ({error.strerror}); give a name such as report.html"
            ) from None
        self._timeline, self._selector = Timeline(), SampleSelector()
        self._memory: list[MemorySample] = []
        self._frames = 0
        self._closed = False

    def write(self, fused: FusedFrame) -> None:
        """Collect one result."""
        self._timeline.record_result(fused)
        self._selector.consider_result(fused)
        self._frames += 1

    def add_memory(self, stats: Mapping[str, Any]) -> None:
        """Collect the present statistics of the memory bank.

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
        page = render_report(summary, self._timeline, self._selector.samples(), plots)
        try:
            with atomic_path(self.path) as temporary:
                temporary.write_text(page, encoding="utf-8")
        except OSError as error:
            raise SinkError(
                f"{self.path}: cannot be written ({error.strerror}); choose another place"
            ) from None
