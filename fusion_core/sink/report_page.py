"""The content of a run report, from the summary of the run and what was collected."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fusion_core.pages import (
    Fact,
    HeadlineFigure,
    Page,
    PageTable,
    PictureRow,
    Plot,
    figure,
    plain,
    render_page,
)
from fusion_core.sink.report_glossary import DROP_CAUSES, STAGES
from fusion_core.sink.report_series import ReportSample, Timeline
from fusion_core.sink.report_verdict import run_verdict

_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
_FACTS = {
    "model": "Model",
    "text": "Text",
    "prior": "Prior",
    "detector": "Detector",
    "device": "Device",
    "calibration": "Calibration",
}


def render_report(
    summary: Mapping[str, Any],
    timeline: Timeline,
    samples: Sequence[ReportSample],
    plots: Sequence[Plot],
) -> str:
    """Return the whole document.

    Args:
        summary: The content of ``run.json``.
        timeline: The results.
        samples: Results to show as pictures, oldest first.
        plots: Measurements over time.
    """
    return render_page(
        Page(
            title="Fusion run report",
            verdict=run_verdict(summary, timeline),
            facts=[*_facts(summary)],
            headlines=[*_headlines(summary)],
            pictures={"Sources and results": [*_rows(samples)]},
            plots=plots,
            details=[*_details(summary)],
        )
    )


def command_line() -> str:
    """Return the command line of this process, without passwords in addresses."""
    words = [Path(sys.argv[0]).name, *sys.argv[1:]]
    return shlex.join(_CREDENTIALS.sub("", word) for word in words)


def _facts(summary: Mapping[str, Any]) -> Iterator[Fact]:
    for key, name in _FACTS.items():
        if summary.get(key):
            yield Fact(name, plain(summary[key]))
    if summary.get("elapsed_s") is not None:
        yield Fact("Duration", f"{figure(summary['elapsed_s'])} s")
    yield Fact("Command", command_line())


def _headlines(summary: Mapping[str, Any]) -> Iterator[HeadlineFigure]:
    for stream, count in summary.get("read", {}).items():
        yield HeadlineFigure(f"{stream} frames read", figure(count))
    for key, title in (("pairs", "pairs"), ("fused", "pairs fused"), ("fps", "pairs per second")):
        if key in summary:
            yield HeadlineFigure(title, figure(summary[key]))
    total = summary.get("latency_ms", {}).get("total", {})
    for rank, title in (("p50", "median"), ("p95", "95 %"), ("p99", "99 %")):
        if rank in total:
            yield HeadlineFigure(f"latency, {title}", f"{figure(total[rank])} ms")
    if "drops" in summary:
        yield HeadlineFigure("frames dropped", figure(sum(summary["drops"].values())))


def _rows(samples: Sequence[ReportSample]) -> Iterator[PictureRow]:
    """Yield sources and results side by side."""
    for sample in samples:
        seconds = (sample.stamp_ns - samples[0].stamp_ns) / 1e9
        title = f"Frame {sample.frame}, {seconds:.2f} s"
        yield PictureRow(title, sample.pictures, sample.health)


def _details(summary: Mapping[str, Any]) -> Iterator[PageTable]:
    """Yield latencies, drops and objects, then every value of the summary."""
    latency = summary.get("latency_ms", {})
    if latency:
        yield _latency_table(latency)
    streams = summary.get("drops_by_stream") or {"both": summary.get("drops", {})}
    rows = [
        [stream, cause, DROP_CAUSES.get(cause, ""), figure(count)]
        for stream, drops in streams.items()
        for cause, count in drops.items()
        if count
    ]
    if rows:
        head = ["stream", "cause", "meaning", "frames"]
        yield PageTable("Frames dropped", head, rows, text_columns=frozenset({0, 1, 2}))
    found = summary.get("detection") or {}
    if found.get("detections"):
        objects = found.get("objects", {})
        rows = [
            [label, figure(count), figure(objects.get(label, 0))]
            for label, count in found["detections"].items()
        ]
        yield PageTable("Objects found", ["class", "detections", "objects tracked"], rows)
    everything = [[key, plain(value)] for key, value in _flat(summary)]
    both = frozenset({0, 1})
    yield PageTable("All values", ["key", "value"], everything, text_columns=both, folded=True)


def _latency_table(latency: Mapping[str, Mapping[str, float]]) -> PageTable:
    """Return the stages in the pipeline's order; unknown ones follow."""
    # One stage may be there several times: `sink mp4`, `sink jsonl`.
    kinds = {name: name.partition(" ")[0] for name in latency}
    places = {name: place for place, name in enumerate(STAGES)}
    order = sorted(latency, key=lambda name: places.get(kinds[name], len(places)))
    ranks = list(dict.fromkeys(rank for values in latency.values() for rank in values))
    rows = [
        [
            stage,
            STAGES.get(kinds[stage], ""),
            *(figure(latency[stage][r]) if r in latency[stage] else "" for r in ranks),
        ]
        for stage in order
    ]
    head = ["stage", "meaning", *(f"{rank} (ms)" for rank in ranks)]
    return PageTable("Latency per stage", head, rows, text_columns=frozenset({0, 1}))


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401
    """Yield dotted names and values of a nested mapping."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, value
