"""The plots of a fleet's page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from fusion_core.pages import Plot
from fusion_core.pages.svg import COLOURS, label_axes, svg_plot
from fusion_core.sink.report_plots import draw_histogram
from fusion_lab.fleet.totals import CHANCES, FleetTotals
from fusion_lab.fleet.unit import UnitRecord

_LINES: Final = 6
_Draw = Callable[[Any], None]


def draw_fleet(done: Sequence[UnitRecord], totals: FleetTotals) -> list[Plot]:
    """Return every plot that has something to show."""
    return [
        Plot(title, svg_plot(name, draw), note) for name, title, note, draw in _all(done, totals)
    ]


def _all(done: Sequence[UnitRecord], totals: FleetTotals) -> Iterator[tuple[str, str, str, _Draw]]:
    """Yield name, title, note and drawing function."""
    if not done:
        return
    note = "How many pairs of all recordings took how long."
    if totals.latency:
        yield "latency", "Latency", note, lambda axes: draw_histogram(axes, totals.latency)
    note = "Median, and the line up to 99 of 100 pairs, one place per recording, fastest first."
    yield "spread", "Latency per recording", note, lambda axes: _spread(axes, done)
    note = "Pairs fused per second of work, how many recordings."
    yield "rates", "Rates", note, lambda axes: _rates(axes, done)
    if any(any(record.figures["drops"].values()) for record in done):
        note = "Frames of all recordings."
        yield "drops", "Drops by cause", note, lambda axes: _drops(axes, done)
    if totals.chances:
        note = "Mean over all recordings that last so long; the six strongest degradations."
        yield "priors", "Scene priors over time", note, lambda axes: _priors(axes, totals)


def _spread(axes: Any, done: Sequence[UnitRecord]) -> None:  # noqa: ANN401
    """Draw the median and the 99th percentile of each recording."""
    ranks = [record.figures["latency_ms"].get("total", {}) for record in done]
    pairs = sorted((rank["p50"], rank["p99"]) for rank in ranks if "p99" in rank)
    places = range(len(pairs))
    axes.vlines(places, [p[0] for p in pairs], [p[1] for p in pairs], color=COLOURS[0], alpha=0.4)
    axes.plot(places, [p[0] for p in pairs], ".", color=COLOURS[0], markersize=3, label="median")
    axes.set_ylim(bottom=0)
    axes.xaxis.get_major_locator().set_params(integer=True)
    label_axes(axes, "recording", "latency (ms)")


def _rates(axes: Any, done: Sequence[UnitRecord]) -> None:  # noqa: ANN401
    """Draw the distribution of the rates."""
    rates = [float(record.figures["fps"]) for record in done]
    axes.hist(rates, bins=min(40, max(5, len(rates) // 4)), color=COLOURS[0], alpha=0.8)
    axes.yaxis.get_major_locator().set_params(integer=True)
    label_axes(axes, "pairs per second", "recordings")


def _drops(axes: Any, done: Sequence[UnitRecord]) -> None:  # noqa: ANN401
    """Draw the drops by cause."""
    causes: Counter[str] = Counter()
    for record in done:
        causes.update(record.figures["drops"])
    names = [name for name, count in causes.most_common() if count][::-1]
    axes.barh(names, [causes[name] for name in names], color=COLOURS[1], alpha=0.8)
    axes.set_xlabel("frames")


def _priors(axes: Any, totals: FleetTotals) -> None:  # noqa: ANN401
    """Draw the mean probabilities over the time since each recording's start."""
    starts, means = totals.mean_chances()
    strength = [(means[:, i].mean(), i) for i, name in enumerate(CHANCES) if "clean" not in name]
    for number, (_, column) in enumerate(sorted(strength, reverse=True)[:_LINES]):
        modality, _, kind = CHANCES[column].partition("_")
        label = f"{modality}: {kind.replace('_', ' ')}"
        axes.plot(starts, means[:, column], ".-", color=COLOURS[number], label=label, linewidth=1)
    axes.set_ylim(0, 1)
    label_axes(axes, "time since the start (s)", "mean probability")
