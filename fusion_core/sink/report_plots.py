"""The plots of a run report."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from fusion_core.pages import Plot
from fusion_core.pages.svg import COLOURS, label_axes, svg_plot
from fusion_core.sink.report_glossary import PARTS
from fusion_core.sink.report_series import Timeline, TimelineBucket, bin_edges

_TYPICAL: Final = 98.0  # percentile of the stretches' means that the latency axis covers
_HEADROOM: Final = 1.4
MemorySample = tuple[int, Mapping[str, Any]]
_Draw = Callable[[Any], None]


def draw_plots(timeline: Timeline, memory: Sequence[MemorySample]) -> list[Plot]:
    """Return every plot that has something to show.

    Args:
        timeline: The run.
        memory: (frames so far, statistics of the memory bank), oldest first.
    """
    return [
        Plot(title, svg_plot(name, draw), note)
        for name, title, note, draw in _plots(timeline, memory)
    ]


def _plots(
    timeline: Timeline, memory: Sequence[MemorySample]
) -> Iterator[tuple[str, str, str, _Draw]]:
    """Yield name, title, note and drawing function."""
    buckets = timeline.buckets
    if timeline.histograms:
        note = "Means of the stages, stacked in the pipeline's order; the line is the slowest pair."
        yield "latency", "Latency over time", note, lambda axes: _latency(axes, buckets)
        note = "How many pairs took how long."
        yield "histogram", "Latency histogram", note, lambda axes: _histogram(axes, timeline)
    if len(buckets) > 1:
        note = "Results per second of capture time."
        yield "rate", "Rate", note, lambda axes: _rate(axes, buckets)
    if any(bucket.skews[2] for bucket in buckets):
        note = "Distance in time of the two frames of a pair."
        yield "skew", "Skew between the streams", note, lambda axes: _skew(axes, buckets)
    if buckets and any(buckets[-1].drops.values()):
        yield "drops", "Drops by cause", "Total so far.", lambda axes: _drops(axes, buckets)
    if any(bucket.health for bucket in buckets):
        yield "health", "Health", "When each condition held.", lambda axes: _health(axes, buckets)
    if any(bucket.detections for bucket in buckets):
        yield "objects", "Objects found", "", lambda axes: _objects(axes, buckets)
    if any(bucket.residuals[0] for bucket in buckets):
        yield "registration", "Registration", "", lambda axes: _registration(axes, buckets)
    if any(bucket.qualities[0] for bucket in buckets):
        title = "Quality score and memory updates"
        yield "quality", title, "", lambda axes: _quality(axes, buckets)
    if memory and any((*memory[-1][1].get("updates", ()), *memory[-1][1].get("uses", ()))):
        yield "slots", "Memory slots", "", lambda axes: _slots(axes, memory[-1][1])
    if sum(stats.get("diversity") is not None for _, stats in memory) > 1:
        note = "Threshold of the quality score for updates, and diversity of the slots."
        yield "memory", "Memory over time", note, lambda axes: _memory(axes, memory)


def _seconds(buckets: Sequence[TimelineBucket], first: TimelineBucket | None = None) -> list[float]:
    """Return the start of each bucket in seconds since that of ``first``, by default their own."""
    origin = first or buckets[0]
    return [(bucket.start_ns - origin.start_ns) / 1e9 for bucket in buckets]


def _overall_stage(stages: Mapping[str, Any]) -> str:
    """Return the stage that spans the others."""
    return next(name for name in ("total", "end_to_end", *stages) if name in stages)


def _latency(axes: Any, buckets: Sequence[TimelineBucket]) -> None:  # noqa: ANN401
    """Draw the mean per stage, stacked, and the slowest frame of each stretch."""
    having = [bucket for bucket in buckets if bucket.stages]
    known = dict.fromkeys(stage for bucket in having for stage in bucket.stages)
    overall = _overall_stage(known)
    parts: list[str] = [stage for stage in PARTS if stage in known] or [overall]
    times = _seconds(having, buckets[0])
    means = np.array(
        [[b.stages.get(stage, (0.0, 0.0))[0] / b.frames for b in having] for stage in parts]
    )
    colours = [COLOURS[number % len(COLOURS)] for number in range(len(parts))]
    axes.stackplot(times, means, colors=colours, labels=parts, linewidth=0, step="post")
    peaks = [bucket.stages.get(overall, (0.0, 0.0))[1] for bucket in having]
    axes.step(times, peaks, where="post", color="#010203", linewidth=0.7, label="slowest")
    typical = float(np.percentile(peaks, _TYPICAL))
    axes.set_ylim(0, _HEADROOM * max(typical, float(np.median(means.sum(axis=0))), 1e-3))
    label_axes(axes, "time (s)", "latency (ms)")
    _reverse_legend(axes)


def _reverse_legend(axes: Any) -> None:  # noqa: ANN401
    """Show the legend in the order of the stack, from top to bottom."""
    handles, labels = axes.get_legend_handles_labels()
    place = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5), "fontsize": 8}
    axes.legend(handles[::-1], labels[::-1], **place)


def _histogram(axes: Any, timeline: Timeline) -> None:  # noqa: ANN401
    """Draw how often each latency occurred."""
    draw_histogram(axes, timeline.histograms[_overall_stage(timeline.histograms)])


def draw_histogram(axes: Any, counts: Mapping[int, int]) -> None:  # noqa: ANN401
    """Draw how often each latency occurred.

    Args:
        axes: Of matplotlib.
        counts: Number of the bin, see ``bin_edges`` -> pairs; at least one.
    """
    edges = np.array(bin_edges())
    window = slice(max(min(counts) - 1, 0), max(counts) + 2)
    heights = [counts.get(index, 0) for index in range(len(edges) - 1)][window]
    shown = edges[window.start : window.start + len(heights) + 1]
    axes.stairs(heights, shown, color=COLOURS[0], fill=True, alpha=0.8)
    axes.set_xscale("log")
    places = [
        factor * 10.0**power
        for power in range(-2, 5)
        for factor in (1, 2, 5)
        if shown[0] <= factor * 10.0**power <= shown[-1]
    ]
    axes.set_xticks(places, [f"{place:g}" for place in places])
    axes.set_xticks([], minor=True)
    label_axes(axes, "latency (ms)", "pairs")


def _rate(axes: Any, buckets: Sequence[TimelineBucket]) -> None:  # noqa: ANN401
    """Draw results per second of capture time, and those with new frames of both streams."""
    times = _seconds(buckets)
    per_second = (len(buckets) - 1) / max(times[-1], 1e-3)
    group = max(1, min(math.ceil(per_second), len(buckets) - 1), len(buckets) // 120)
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


def _skew(axes: Any, buckets: Sequence[TimelineBucket]) -> None:  # noqa: ANN401
    """Draw the magnitude of the skew: mean and largest of each stretch."""
    having = [bucket for bucket in buckets if bucket.skews[0]]
    times = _seconds(having, buckets[0])
    means = [bucket.skews[1] / bucket.skews[0] for bucket in having]
    peaks = [bucket.skews[2] for bucket in having]
    axes.fill_between(times, means, peaks, color=COLOURS[0], alpha=0.25, linewidth=0)
    axes.plot(times, means, color=COLOURS[0], linewidth=1.0, label="mean, up to the largest")
    axes.set_ylim(bottom=0)
    label_axes(axes, "time (s)", "|skew| (ms)")


def _drops(axes: Any, buckets: Sequence[TimelineBucket]) -> None:  # noqa: ANN401
    """Draw the growing count of drops by cause."""
    for number, cause in enumerate(sorted(c for c, n in buckets[-1].drops.items() if n)):
        counts = [bucket.drops.get(cause, 0) for bucket in buckets]
        colour = COLOURS[number % len(COLOURS)]
        axes.step(_seconds(buckets), counts, where="post", color=colour, label=cause)
    axes.set_ylim(bottom=0)
    label_axes(axes, "time (s)", "frames dropped")


def _health(axes: Any, buckets: Sequence[TimelineBucket]) -> None:  # noqa: ANN401
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


def _objects(axes: Any, buckets: Sequence[TimelineBucket]) -> None:  # noqa: ANN401
    """Draw detections per frame of the labels found most."""
    total = sum((bucket.detections for bucket in buckets), Counter[str]())
    for number, (label, _) in enumerate(total.most_common(len(COLOURS))):
        counts = [bucket.detections[label] / bucket.frames for bucket in buckets]
        axes.step(_seconds(buckets), counts, where="post", color=COLOURS[number], label=label)
    axes.set_ylim(bottom=0)
    label_axes(axes, "time (s)", "per frame")


def _registration(axes: Any, buckets: Sequence[TimelineBucket]) -> None:  # noqa: ANN401
    """Draw the measured misalignment and the confidence of the registration."""
    having = [bucket for bucket in buckets if bucket.residuals[0]]
    times = _seconds(having, buckets[0])
    means = [bucket.residuals[1] / bucket.residuals[0] for bucket in having]
    axes.plot(times, means, color=COLOURS[0], linewidth=1.0, label="misalignment (px)")
    confidence = [bucket.confidence / bucket.frames for bucket in buckets]
    axes.plot(_seconds(buckets), confidence, color=COLOURS[1], linewidth=1.0, label="confidence")
    axes.set_ylim(bottom=0)
    label_axes(axes, "time (s)", "pixels; confidence in [0, 1]")


def _quality(axes: Any, buckets: Sequence[TimelineBucket]) -> None:  # noqa: ANN401
    """Draw the quality score, and the results that updated the memory bank."""
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
    """Draw the threshold of the quality score and the diversity of the slots."""
    for number, key in enumerate(("threshold", "diversity")):
        known = [(frames, stats[key]) for frames, stats in memory if stats.get(key) is not None]
        if known:
            places, values = zip(*known, strict=True)
            axes.plot(places, values, color=COLOURS[number], marker=".", label=key)
    label_axes(axes, "frames fused", "value")
