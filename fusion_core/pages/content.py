"""What a page shows, as plain values; the templates escape every text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from fusion_core.types import UInt8Image


@dataclass(frozen=True, slots=True)
class Verdict:
    """Summary in words at the top of a page.

    Attributes:
        state: Overall result.
        headline: One short sentence.
        sentences: Details, the most important first.
    """

    state: Literal["good", "attention", "failed"]
    headline: str
    sentences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of the header: what was run, with which settings."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class HeadlineFigure:
    """One headline figure."""

    title: str
    value: str


@dataclass(frozen=True, slots=True)
class PictureRow:
    """Pictures side by side.

    Attributes:
        title: Heading of the row.
        pictures: Caption -> gray ``HxW`` or RGB ``HxWx3`` uint8 picture.
        badges: Short marks beside the heading.
    """

    title: str
    pictures: Mapping[str, UInt8Image]
    badges: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plot:
    """One plot.

    Attributes:
        title: Its heading.
        svg: The plot as an inline SVG element from ``svg_plot``.
        note: How to read it, in one line.
    """

    title: str
    svg: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class TableCell:
    """One cell of a table that can be sorted.

    Attributes:
        text: What is shown.
        key: Number or text to sort by.
        best: Whether it is highlighted as the best of its column.
    """

    text: str
    key: float | str
    best: bool = False


@dataclass(frozen=True, slots=True)
class PageTable:
    """One table.

    Attributes:
        title: Its heading, may be empty.
        head: Titles of the columns.
        rows: Texts or cells, as many per row as the table has columns.
        note: How to read it, in one line.
        text_columns: Columns that are aligned to the left; all others hold numbers.
        folded: Whether the rows are hidden until the reader opens them.
        sortable: Whether a click on a heading sorts by that column; all cells are ``TableCell``.
    """

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str | TableCell]]
    note: str = ""
    text_columns: frozenset[int] = frozenset({0})
    folded: bool = False
    sortable: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Content of a whole page, from top to bottom.

    Attributes:
        title: Title and heading.
        verdict: Summary in words.
        facts: Lines of the header.
        headlines: Headline figures.
        tables: Tables above the pictures.
        pictures: Heading -> rows of pictures; headings without rows are left out.
        plots: Plots, after the pictures.
        details: Tables at the end.
    """

    title: str
    verdict: Verdict | None = None
    facts: Sequence[Fact] = ()
    headlines: Sequence[HeadlineFigure] = ()
    tables: Sequence[PageTable] = ()
    pictures: Mapping[str, Sequence[PictureRow]] = field(default_factory=dict)
    plots: Sequence[Plot] = ()
    details: Sequence[PageTable] = ()

    @property
    def sortable(self) -> bool:
        """Whether any table can be sorted."""
        return any(table.sortable for table in (*self.tables, *self.details))
