"""Plots as SVG elements that take their text colour from the page."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from typing import Any

_INK = "#010203"  # replaced by the page's text colour, light or dark
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6bb1", "#7f7f7f")
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "text.color": _INK,
    "text.parse_math": False,  # names may contain dollar signs
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.15,
    "axes.axisbelow": True,
    "grid.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "legend.frameon": False,
}


def svg_plot(name: str, draw: Callable[[Any], None]) -> str:
    """Draw one plot and return it as an SVG element that needs nothing from outside.

    Args:
        name: Unique within the page.
        draw: Draws on matplotlib axes.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    text = io.StringIO()
    style: Any = {**_STYLE, "svg.hashsalt": name}
    with rc_context(style), warnings.catch_warnings():
        # The browser's fonts show the text; those of matplotlib only measure it.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure = Figure(figsize=(6.4, 2.7), layout="constrained")
        figure.patch.set_alpha(0.0)
        axes = figure.add_subplot()
        axes.patch.set_alpha(0.0)
        draw(axes)
        figure.savefig(text, format="svg", metadata={"Date": None})
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' (?:xmlns|xmlns:xlink)="[^"]*"', "", svg)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    # Ids are only unique within one plot, and several plots share the page.
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\1{name}-", svg)
    return svg.replace(_INK, "currentColor")


def label_axes(axes: Any, x: str, y: str) -> None:  # noqa: ANN401
    """Name the axes and show the legend beside the plot."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8)
