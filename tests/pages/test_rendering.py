"""The template that all pages share, and the figures in it."""

from html.parser import HTMLParser

import numpy as np
import pytest

from fusion_core.pages import (
    Fact,
    HeadlineFigure,
    Page,
    PageTable,
    PictureRow,
    Plot,
    TableCell,
    Verdict,
    figure,
)
from fusion_core.pages import render_page as render
from fusion_core.pages.svg import svg_plot

HOSTILE = "</title></style></script><script>alert('1')</script>\"><img src=x onerror=alert(1)>"
PICTURE = np.zeros((4, 6), np.uint8)


class Elements(HTMLParser):
    """Collects tags, attributes and texts; every tag must be closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.texts = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in {"meta", "img", "input"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def page(name, **changes):
    """Return a page that shows a name in every place that takes a text."""
    table = PageTable(name, [name, "2"], [[name, "x"]], note=name, folded=True)
    sortable = PageTable(name, [name], [[TableCell(name, name, best=True)]], sortable=True)
    parts = {
        "verdict": Verdict("good", name, (name,)),
        "facts": [Fact(name, name)],
        "headlines": [HeadlineFigure(name, name)],
        "tables": [sortable],
        "pictures": {name: [PictureRow(name, {name: PICTURE}, (name,))], "left out": []},
        "plots": [Plot(name, svg_plot("p", lambda axes: axes.set_xlabel(name)), name)],
        "details": [table],
    }
    return Page(name, **{**parts, **changes})


def test_hostile_names_are_text_wherever_they_are_shown():
    text = render(page(HOSTILE))
    assert HOSTILE not in text
    elements, plain = Elements(text), Elements(render(page("name")))
    assert elements.tags == plain.tags
    assert [name for name, _ in elements.attributes] == [name for name, _ in plain.attributes]
    shown = sum(HOSTILE in text for text in elements.texts)
    assert shown == sum("name" in text for text in plain.texts if "{" not in text) > 15


def test_page_needs_nothing_from_outside():
    elements = Elements(render(page("name")))
    sources = [value for name, value in elements.attributes if name in {"src", "href", "action"}]
    assert sources
    assert all(value.startswith(("data:image/", "#")) for value in sources)
    assert "link" not in elements.tags


def test_only_pages_with_sortable_tables_hold_a_script():
    assert "script" in Elements(render(page("name"))).tags
    assert "script" not in Elements(render(page("name", tables=[]))).tags


def test_headings_without_pictures_are_left_out():
    assert "left out" not in render(page("name"))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (12345, "12,345"),
        (0.0, "0"),
        (31.25, "31.2"),
        (0.895, "0.895"),
        (0.002, "0.002"),
        (1956.99, "1,957"),
        (-3.14159, "-3.14"),
        (float("nan"), "–"),
        ("p50", "p50"),
    ],
)
def test_figures_have_three_digits(value, text):
    assert figure(value) == text
