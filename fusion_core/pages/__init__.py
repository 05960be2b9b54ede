"""HTML pages: one self-contained file each, with pictures and plots inside, readable offline.

The three pages (run report, calibration report, evaluation) share the templates in ``templates/``.
"""

from fusion_core.pages.content import Card, Cell, Fact, Page, PictureRow, Plot, Table, Verdict
from fusion_core.pages.figures import figure, plain
from fusion_core.pages.rendering import render_page, require_page_packages

__all__ = [
    "Card",
    "Cell",
    "Fact",
    "Page",
    "PictureRow",
    "Plot",
    "Table",
    "Verdict",
    "figure",
    "plain",
    "render_page",
    "require_page_packages",
]
