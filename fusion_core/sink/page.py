"""Parts of a page: one HTML document that holds everything it shows."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

import cv2

from fusion_core.types import UInt8Image

_WEBP_QUALITY = 78
_STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5b6675; --paper: #f5f6f8;
  --card: #ffffff; --line: #dde1e7; --accent: #0072b2; --warn: #b54708; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --soft: #9aa5b4; --paper: #12161c;
  --card: #1b212a; --line: #2d3541; --accent: #56b4e9; --warn: #f0a35e; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 1.5rem 1rem 3rem; color: var(--ink);
  background: var(--paper); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .8rem; }
p { margin: .2rem 0; color: var(--soft); }
.cards, .plots { display: grid; gap: .8rem; }
.cards { grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); margin-top: 1.2rem; }
.plots { grid-template-columns: repeat(auto-fit, minmax(min(100%, 27rem), 1fr)); }
.card, .plot, .moment, .sheet { background: var(--card); border: 1px solid var(--line);
  border-radius: .5rem; padding: .8rem; }
.card b { display: block; font-size: 1.35rem; font-variant-numeric: tabular-nums; }
.card span { color: var(--soft); font-size: .85rem; }
.plot h3, .moment h3 { font-size: .92rem; margin: 0 0 .5rem; }
.plot svg { width: 100%; height: auto; display: block; }
.moment { margin-bottom: .8rem; }
.moment div { display: grid; gap: .5rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 13rem), 1fr)); }
figure { margin: 0; } figure img { width: 100%; display: block; border-radius: .25rem; }
figcaption { color: var(--soft); font-size: .82rem; }
.badge { color: var(--warn); border: 1px solid; border-radius: 1rem; padding: 0 .55rem;
  font-size: .78rem; font-weight: 600; margin-left: .4rem; }
.sheet { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid var(--line);
  font-variant-numeric: tabular-nums; vertical-align: top; }
td.number, th.number { text-align: right; } th { color: var(--soft); font-weight: 600; }
summary { cursor: pointer; color: var(--accent); }
.error { color: var(--warn); font-weight: 600; }
"""


def document(title: str, body: Iterable[str]) -> str:
    """Return the whole document."""
    parts = [
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>",
        *body,
        "</body></html>\n",
    ]
    return "\n".join(parts)


def cards(headlines: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield headline numbers, given as titles and values."""
    yield '<div class="cards">'
    for title, value in headlines:
        yield f'<div class="card"><b>{escape(value)}</b><span>{escape(title)}</span></div>'
    yield "</div>"


def moment(title: str, pictures: Mapping[str, UInt8Image], alt: str) -> Iterator[str]:
    """Yield pictures side by side.

    Args:
        title: HTML of the heading.
        pictures: Caption -> gray or RGB picture.
        alt: Follows the caption in the text for those who do not see the picture.
    """
    yield f'<section class="moment"><h3>{title}</h3><div>'
    for caption, picture in pictures.items():
        source = f"data:image/webp;base64,{base64.b64encode(_webp(picture)).decode()}"
        described = escape(f"{caption}, {alt}", quote=True)
        yield f'<figure><img src="{source}" alt="{described}">'
        yield f"<figcaption>{escape(caption)}</figcaption></figure>"
    yield "</div></section>"


def plots(drawn: Mapping[str, str]) -> Iterator[str]:
    """Yield title -> inline SVG as a grid."""
    if not drawn:
        return
    yield '<h2>Measurements</h2><div class="plots">'
    for title, svg in drawn.items():
        yield f'<section class="plot"><h3>{escape(title)}</h3>{svg}</section>'
    yield "</div>"


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> Iterator[str]:
    """Yield one table; numbers stand to the right."""
    yield f'<h2>{escape(title)}</h2><div class="sheet"><table><tr>'
    yield "".join(
        f"<th{' class=number' if index else ''}>{escape(name)}</th>"
        for index, name in enumerate(head)
    )
    yield "</tr>"
    for row in rows:
        cells = "".join(
            f"<td{' class=number' if index else ''}>{escape(plain(value))}</td>"
            for index, value in enumerate(row)
        )
        yield f"<tr>{cells}</tr>"
    yield "</table></div>"


def plain(value: Any) -> str:  # noqa: ANN401
    """Return a value as run.json shows it, text without quotes."""
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _webp(picture: UInt8Image) -> bytes:
    """Encode a gray or RGB picture."""
    ordered = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".webp", ordered, [cv2.IMWRITE_WEBP_QUALITY, _WEBP_QUALITY])
    return data.tobytes()
