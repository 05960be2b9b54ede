"""The plots of a report, as SVG that takes its text colour from the page."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fusion_core.sink.report_series import Bucket, Timeline, bin_edges

_INK = "#010203"  # replaced by the page's own text colour, light or dark
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6bb1", "#7f7f7f")
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "text.color": _INK,
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
MemorySample = tuple[int, Mapping[str, Any]]


def draw_plots(timeline: Timeline, memory: Sequence[MemorySample]) -> dict[str, str]:
    """Return title -> inline SVG of every plot that has something to show.

    Args:
        timeline: The run.
        memory: (frames so far, statistics of the memory bank), oldest first.
    """
    buckets = timeline.buckets
    plots: dict[str, str] = {}
    if timeline.histograms:
        plots["Latency over time"] = svg_plot("latency", lambda axes: _latency(axes, buckets))
        plots["Latency histogram"] = svg_plot("histogram", lambda axes: _histogram(axes, timeline))
    if len(buckets) > 1:
        plots["Rate"] = svg_plot("rate", lambda axes: _rate(axes, buckets))
    if any(bucket.skews[0] for bucket in buckets):
        plots["Skew between the streams"] = svg_plot("skew", lambda axes: _skew(axes, buckets))
    if buckets and buckets[-1].drops:
        plots["Drops by cause"] = svg_plot("drops", lambda axes: _drops(axes, buckets))
    if any(bucket.health for bucket in buckets):
        plots["Health"] = svg_plot("health", lambda axes: _health(axes, buckets))
    if any(bucket.detections for bucket in buckets):
        plots["Objects found"] = svg_plot("objects", lambda axes: _objects(axes, buckets))
    if any(bucket.residuals[0] for bucket in buckets):
        plots["Registration"] = svg_plot("registration", lambda axes: _registration(axes, buckets))
    if any(bucket.qualities[0] for bucket in buckets):
        title = "Quality score and memory updates"
        plots[title] = svg_plot("quality", lambda axes: _quality(axes, buckets))
    if memory and memory[-1][1].get("updates"):
        plots["Memory slots"] = svg_plot("slots", lambda axes: _slots(axes, memory[-1][1]))
    if sum(stats.get("diversity") is not None for _, stats in memory) > 1:
        plots["Memory over time"] = svg_plot("memory", lambda axes: _memory(axes, memory))
    return plots


def svg_plot(name: str, draw: Callable[[Any], None]) -> str:
    """Draw one plot and return it as an SVG element that needs nothing from outside."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    text = io.StringIO()
    style: Any = {**_STYLE, "svg.hashsalt": name}
    with rc_context(style):
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


def _seconds(buckets: Sequence[Bucket], first: Bucket | None = None) -> list[float]:
    """Return the start of each bucket in seconds since that of ``first``, by default their own."""
    origin = first or buckets[0]
    return [(bucket.start_ns - origin.start_ns) / 1e9 for bucket in buckets]


def _stages(buckets: Sequence[Bucket]) -> list[str]:
    """Return all stages in order of appearance, ``total`` first."""
    names = dict.fromkeys(stage for bucket in buckets for stage in bucket.stages)
    return sorted(names, key=lambda name: name != "total")


def _latency(axes: Any, buckets: Sequence[Bucket]) -> None:  # noqa: ANN401
    """Draw the mean per stage, and the slowest frame of each stretch for the total."""
    for number, stage in enumerate(_stages(buckets)):
        having = [bucket for bucket in buckets if stage in bucket.stages]
        times = _seconds(having, buckets[0])
        means = [bucket.stages[stage][0] / bucket.frames for bucket in having]
        colour = COLOURS[number % len(COLOURS)]
        if stage == "total" and having[0].frames > 1:
            peaks = [bucket.stages[stage][1] for bucket in having]
            axes.plot(times, peaks, color=colour, alpha=0.4, linewidth=0.8, label="total, slowest")
        axes.plot(times, means, color=colour, linewidth=1.2, label=stage)
    axes.set_yscale("log")
    label_axes(axes, "time (s)", "latency (ms)")


def _histogram(axes: Any, timeline: Timeline) -> None:  # noqa: ANN401
    """Draw how often each latency occurred, per stage."""
    edges = np.array(bin_edges())
    used = [number for counts in timeline.histograms.values() for number in counts]
    window = slice(max(min(used) - 1, 0), max(used) + 2)
    for number, stage in enumerate(_stages(timeline.buckets)):
        counts = timeline.histograms[stage]
        heights = [counts.get(index, 0) for index in range(len(edges) - 1)][window]
        shown = edges[window.start : window.start + len(heights) + 1]
        axes.stairs(heights, shown, color=COLOURS[number % len(COLOURS)], label=stage)
    axes.set_xscale("log")
    label_axes(axes, "latency (ms)", "frames")


def _rate(axes: Any, buckets: Sequence[Bucket]) -> None:  # noqa: ANN401
    """Draw results per second of capture time, and how many showed a new frame of both."""
    group = max(1, -(-len(buckets) // 120))
    times = _seconds(buckets)
    spans = [
        (times[index], times[index + group] - times[index], buckets[index : index + group])
        for index in range(0, len(buckets) - group, group)
    ]
    spans = [span for span in spans if span[1] > 0]
    start = [span[0] for span in spans]
    fused = [sum(bucket.frames for bucket in span[2]) / span[1] for span in spans]
    fresh = [sum(bucket.frames - bucket.reused for bucket in span[2]) / span[1] for span in spans]
    axes.step(start, fused, where="post", color=COLOURS[0], label="fused")
    axes.step(start, fresh, where="post", color=COLOURS[1], label="both frames new")
    axes.set_ylim(bottom=0)
    label_axes(axes, "time (s)", "rate (Hz)")


def _skew(axes: Any, buckets: Sequence[Bucket]) -> None:  # noqa: ANN401
    """Draw the magnitude of the skew: mean and largest of each stretch."""
    having = [bucket for bucket in buckets if bucket.skews[0]]
    times = _seconds(having, buckets[0])
    means = [bucket.skews[1] / bucket.skews[0] for bucket in having]
    peaks = [bucket.skews[2] for bucket in having]
    axes.fill_between(times, means, peaks, color=COLOURS[0], alpha=0.25, linewidth=0)
    axes.plot(times, means, color=COLOURS[0], linewidth=1.0, label="mean, up to the largest")
    axes.set_ylim(bottom=0)
    label_axes(axes, "time (s)", "|skew| (ms)")


def _drops(axes: Any, buckets: Sequence[Bucket]) -> None:  # noqa: ANN401
    """Draw the growing count of drops by cause."""
    for number, cause in enumerate(sorted(buckets[-1].drops)):
        counts = [bucket.drops.get(cause, 0) for bucket in buckets]
        colour = COLOURS[number % len(COLOURS)]
        axes.step(_seconds(buckets), counts, where="post", color=colour, label=cause)
    axes.set_ylim(bottom=0)
    label_axes(axes, "time (s)", "frames dropped")


def _health(axes: Any, buckets: Sequence[Bucket]) -> None:  # noqa: ANN401
    """Draw when each condition held."""
    times = _seconds(buckets)
    step = times[-1] / max(len(times) - 1, 1) or 1e-3
    conditions = sorted({name for bucket in buckets for name in bucket.health})
    for row, condition in enumerate(conditions):
        bars = [
            (time, following - time)
            for time, following, bucket in zip(
                times, [*times[1:], times[-1] + step], buckets, strict=True
            )
            if condition in bucket.health
        ]
        axes.broken_barh(bars, (row - 0.35, 0.7), color=COLOURS[(row + 1) % len(COLOURS)])
    axes.set_yticks(range(len(conditions)), conditions)
    axes.set_xlim(0, times[-1] + step)
    axes.set_xlabel("time (s)")


def _objects(axes: Any, buckets: Sequence[Bucket]) -> None:  # noqa: ANN401
    """Draw detections per frame of the labels found most."""
    total = sum((bucket.detections for bucket in buckets), Counter[str]())
    for number, (label, _) in enumerate(total.most_common(len(COLOURS))):
        counts = [bucket.detections[label] / bucket.frames for bucket in buckets]
        axes.step(_seconds(buckets), counts, where="post", color=COLOURS[number], label=label)
    axes.set_ylim(bottom=0)
    label_axes(axes, "time (s)", "per frame")


def _registration(axes: Any, buckets: Sequence[Bucket]) -> None:  # noqa: ANN401
    """Draw the measured misalignment, and the trust in the registration."""
    having = [bucket for bucket in buckets if bucket.residuals[0]]
    times = _seconds(having, buckets[0])
    means = [bucket.residuals[1] / bucket.residuals[0] for bucket in having]
    axes.plot(times, means, color=COLOURS[0], linewidth=1.0, label="misalignment (px)")
    trust = [bucket.confidence / bucket.frames for bucket in buckets]
    axes.plot(_seconds(buckets), trust, color=COLOURS[1], linewidth=1.0, label="confidence")
    axes.set_ylim(bottom=0)
    label_axes(axes, "time (s)", "pixels, share")


def _quality(axes: Any, buckets: Sequence[Bucket]) -> None:  # noqa: ANN401
    """Draw the judge's score, and where a scene was accepted into the memory bank."""
    having = [bucket for bucket in buckets if bucket.qualities[0]]
    times = _seconds(having, buckets[0])
    scores = [bucket.qualities[1] / bucket.qualities[0] for bucket in having]
    axes.plot(times, scores, color=COLOURS[0], linewidth=1.0, label="quality")
    marks = [
        (time, score, slot, count)
        for time, score, bucket in zip(times, scores, having, strict=True)
        for slot, count in sorted(bucket.slots.items())
    ]
    if marks:
        axes.scatter(
            [mark[0] for mark in marks],
            [mark[1] for mark in marks],
            s=[12 + 6 * np.log2(mark[3]) for mark in marks],
            c=[COLOURS[1 + mark[2] % (len(COLOURS) - 1)] for mark in marks],
            zorder=3,
            label="slot updated",
        )
    label_axes(axes, "time (s)", "score")


def _slots(axes: Any, stats: Mapping[str, Any]) -> None:  # noqa: ANN401
    """Draw uses and updates of every memory slot."""
    updates = list(stats["updates"])
    uses = list(stats.get("uses", ()))
    places = np.arange(len(updates))
    if uses:
        axes.bar(places - 0.2, uses, 0.4, color=COLOURS[0], label="nearest to a frame")
    axes.bar(places + 0.2, updates, 0.4, color=COLOURS[1], label="updated")
    axes.xaxis.get_major_locator().set_params(integer=True)
    label_axes(axes, "slot", "frames")


def _memory(axes: Any, memory: Sequence[MemorySample]) -> None:  # noqa: ANN401
    """Draw the gate's threshold and the diversity of the slots."""
    for number, key in enumerate(("threshold", "diversity")):
        known = [(frames, stats[key]) for frames, stats in memory if stats.get(key) is not None]
        if known:
            places, values = zip(*known, strict=True)
            axes.plot(places, values, color=COLOURS[number], marker=".", label=key)
    label_axes(axes, "frames fused", "value")


def label_axes(axes: Any, x: str, y: str) -> None:  # noqa: ANN401
    """Name the axes and show the legend beside the plot."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8)
