"""HTML pages: one self-contained file each, with pictures and plots inside, readable offline.

The three pages (run report, calibration report, evaluation) share the templates in ``templates/``.
"""

from fusion_core.pages.content import (
    Fact,
    HeadlineFigure,
    Page,
    PageTable,
    PictureRow,
    Plot,
    TableCell,
    Verdict,
)
from fusion_core.pages.figures import figure, plain
from fusion_core.pages.rendering import render_page, require_page_packages

__all__ = [
    "Fact",
    "HeadlineFigure",
    "Page",
    "PageTable",
    "PictureRow",
    "Plot",
    "TableCell",
    "Verdict",
    "figure",
    "plain",
    "render_page",
    "require_page_packages",
]
