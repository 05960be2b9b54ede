"""The page of a report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from fusion_core.sink import page
from fusion_core.sink.report_series import Moment


def render_page(
    summary: Mapping[str, Any], moments: Sequence[Moment], plots: Mapping[str, str]
) -> str:
    """Return the whole document.

    Args:
        summary: The content of ``run.json``.
        moments: Pictures to show, oldest first.
        plots: Title -> inline SVG.
    """
    body = [*_header(summary), *_pictures(moments), *page.plots(plots), *_tables(summary)]
    return page.document("Fusion run report", body)


def _header(summary: Mapping[str, Any]) -> Iterator[str]:
    """Yield title and headline numbers."""
    model, device = summary.get("model", "unknown model"), summary.get("device", "")
    length = summary.get("elapsed_s")
    line = f"{model} on {device}" if device else str(model)
    if length is not None:
        line += f", {page.plain(length)} s"
    yield f"<header><h1>Fusion run report</h1><p>{escape(line)}</p>"
    if summary.get("error"):
        yield f'<p class="error">{escape(str(summary["error"]))}</p>'
    yield from page.cards(_headlines(summary))
    yield "</header>"


def _headlines(summary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the titles and values of the cards."""
    for stream, count in summary.get("read", {}).items():
        yield f"{stream} frames read", page.plain(count)
    for key, title in (("pairs", "pairs"), ("fused", "frames fused"), ("fps", "frames per second")):
        if key in summary:
            yield title, page.plain(summary[key])
    total = summary.get("latency_ms", {}).get("total", {})
    for rank in ("p50", "p95", "p99"):
        if rank in total:
            yield f"latency {rank} (ms)", page.plain(total[rank])
    if "drops" in summary:
        yield "frames dropped", page.plain(sum(summary["drops"].values()))


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
        yield from page.moment(title, moment.pictures, f"frame {moment.frame}")


def _tables(summary: Mapping[str, Any]) -> Iterator[str]:
    """Yield latencies and drops as tables, then every value of the summary."""
    latency = summary.get("latency_ms", {})
    if latency:
        ranks = list(dict.fromkeys(rank for values in latency.values() for rank in values))
        rows = [
            [stage, *(values.get(rank, "") for rank in ranks)] for stage, values in latency.items()
        ]
        yield from page.table("Latency per stage (ms)", ["stage", *ranks], rows)
    if summary.get("drops"):
        rows = [[cause, count] for cause, count in summary["drops"].items()]
        yield from page.table("Frames dropped", ["cause", "frames"], rows)
    found = summary.get("detection") or {}
    if found.get("detections"):
        objects = found.get("objects", {})
        rows = [
            [label, count, objects.get(label, 0)] for label, count in found["detections"].items()
        ]
        yield from page.table("Objects found", ["class", "detections", "objects followed"], rows)
    if summary.get("versions"):
        rows = [[name, version] for name, version in summary["versions"].items()]
        yield from page.table("Versions", ["package", "version"], rows)
    yield '<h2>All values</h2><div class="sheet"><details><summary>Content of run.json</summary>'
    yield "<table>"
    for key, value in _flat(summary):
        yield f"<tr><th>{escape(key)}</th><td>{escape(page.plain(value))}</td></tr>"
    yield "</table></details></div>"


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401
    """Yield dotted names and values of a nested mapping."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, value
