"""The page of a report: one HTML document that holds everything it shows."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

import cv2

from fusion_core.sink.report_series import Moment
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


def render_page(
    summary: Mapping[str, Any], moments: Sequence[Moment], plots: Mapping[str, str]
) -> str:
    """Return the whole document.

    Args:
        summary: The content of ``run.json``.
        moments: Pictures to show, oldest first.
        plots: Title -> inline SVG.
    """
    parts = [
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Fusion run report</title><style>{_STYLE}</style></head><body>",
        *_header(summary),
        *_pictures(moments),
        *_plots(plots),
        *_tables(summary),
        "</body></html>\n",
    ]
    return "\n".join(parts)


def _header(summary: Mapping[str, Any]) -> Iterator[str]:
    """Yield title and headline numbers."""
    model, device = summary.get("model", "unknown model"), summary.get("device", "")
    length = summary.get("elapsed_s")
    line = f"{model} on {device}" if device else str(model)
    if length is not None:
        line += f", {_plain(length)} s"
    yield f"<header><h1>Fusion run report</h1><p>{escape(line)}</p>"
    if summary.get("error"):
        yield f'<p class="error">{escape(str(summary["error"]))}</p>'
    yield '<div class="cards">'
    for title, value in _headlines(summary):
        yield f'<div class="card"><b>{escape(value)}</b><span>{escape(title)}</span></div>'
    yield "</div></header>"


def _headlines(summary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the titles and values of the cards."""
    for stream, count in summary.get("read", {}).items():
        yield f"{stream} frames read", _plain(count)
    for key, title in (("pairs", "pairs"), ("fused", "frames fused"), ("fps", "frames per second")):
        if key in summary:
            yield title, _plain(summary[key])
    total = summary.get("latency_ms", {}).get("total", {})
    for rank in ("p50", "p95", "p99"):
        if rank in total:
            yield f"latency {rank} (ms)", _plain(total[rank])
    if "drops" in summary:
        yield "frames dropped", _plain(sum(summary["drops"].values()))


def _pictures(moments: Sequence[Moment]) -> Iterator[str]:
    """Yield the sources and results side by side."""
    if not moments:
        return
    yield "<h2>Sources and results</h2>"
    first = min(moment.stamp_ns for moment in moments)
    for moment in moments:
        badges = "".join(f'<span class="badge">{escape(name)}</span>' for name in moment.health)
        seconds = (moment.stamp_ns - first) / 1e9
        title = f"Frame {moment.frame}, {seconds:.2f} s{badges}"
        yield f'<section class="moment"><h3>{title}</h3><div>'
        for caption, picture in moment.pictures.items():
            source = f"data:image/webp;base64,{base64.b64encode(_webp(picture)).decode()}"
            alt = escape(f"{caption}, frame {moment.frame}", quote=True)
            label = escape(caption)
            yield f'<figure><img src="{source}" alt="{alt}">'
            yield f"<figcaption>{label}</figcaption></figure>"
        yield "</div></section>"


def _webp(picture: UInt8Image) -> bytes:
    """Encode a gray or RGB picture."""
    ordered = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".webp", ordered, [cv2.IMWRITE_WEBP_QUALITY, _WEBP_QUALITY])
    return data.tobytes()


def _plots(plots: Mapping[str, str]) -> Iterator[str]:
    """Yield the plots as a grid."""
    if not plots:
        return
    yield '<h2>Measurements</h2><div class="plots">'
    for title, svg in plots.items():
        yield f'<section class="plot"><h3>{escape(title)}</h3>{svg}</section>'
    yield "</div>"


def _tables(summary: Mapping[str, Any]) -> Iterator[str]:
    """Yield latencies and drops as tables, then every value of the summary."""
    latency = summary.get("latency_ms", {})
    if latency:
        ranks = list(dict.fromkeys(rank for values in latency.values() for rank in values))
        rows = [
            [stage, *(values.get(rank, "") for rank in ranks)] for stage, values in latency.items()
        ]
        yield from _table("Latency per stage (ms)", ["stage", *ranks], rows)
    if summary.get("drops"):
        rows = [[cause, count] for cause, count in summary["drops"].items()]
        yield from _table("Frames dropped", ["cause", "frames"], rows)
    if summary.get("versions"):
        rows = [[name, version] for name, version in summary["versions"].items()]
        yield from _table("Versions", ["package", "version"], rows)
    yield '<h2>All values</h2><div class="sheet"><details><summary>Content of run.json</summary>'
    yield "<table>"
    for key, value in _flat(summary):
        yield f"<tr><th>{escape(key)}</th><td>{escape(_plain(value))}</td></tr>"
    yield "</table></details></div>"


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> Iterator[str]:
    """Yield one table; numbers stand to the right."""
    yield f'<h2>{escape(title)}</h2><div class="sheet"><table><tr>'
    yield "".join(
        f"<th{' class=number' if index else ''}>{escape(name)}</th>"
        for index, name in enumerate(head)
    )
    yield "</tr>"
    for row in rows:
        cells = "".join(
            f"<td{' class=number' if index else ''}>{escape(_plain(value))}</td>"
            for index, value in enumerate(row)
        )
        yield f"<tr>{cells}</tr>"
    yield "</table></div>"


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401
    """Yield dotted names and values of a nested mapping."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, value


def _plain(value: Any) -> str:  # noqa: ANN401
    """Return a value as run.json shows it, text without quotes."""
    return value if isinstance(value, str) else json.dumps(value, default=str)
