"""A fleet as one HTML page: a single file that works offline."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

import cv2
import numpy as np

from fusion_core.pages import (
    Fact,
    HeadlineFigure,
    Page,
    PageTable,
    PictureRow,
    TableCell,
    Verdict,
    figure,
    render_page,
)
from fusion_core.sink.report_glossary import CONDITIONS, DROP_CAUSES
from fusion_core.sink.report_page import command_line
from fusion_core.types import UInt8Image
from fusion_lab.fleet.moments import Moment, moment_from
from fusion_lab.fleet.places import file_system
from fusion_lab.fleet.plots import draw_fleet
from fusion_lab.fleet.totals import FleetTotals
from fusion_lab.fleet.unit import UnitRecord

_MOMENTS: Final = 12
_NAMED: Final = 3  # failures that the verdict names


def fleet_page(records: Sequence[UnitRecord], planned: int, totals: FleetTotals, out: str) -> str:
    """Return the page of a fleet.

    Args:
        records: One per recording that was reached.
        planned: Number of recordings.
        totals: Sums over the frames of those that are done.
        out: Address of the fleet's folder, which holds the pictures.
    """
    done = [record for record in records if record.state == "done"]
    return render_page(
        Page(
            title="Fusion fleet report",
            verdict=_verdict(records, planned, totals),
            facts=[Fact("Folder", out), Fact("Command", command_line())],
            headlines=[*_headlines(done, planned, totals)],
            tables=[*_failures(records), _recordings(done, totals)],
            pictures={"Worst moments": [*_worst(done, out)]},
            plots=draw_fleet(done, totals),
            details=[*_counts(done, totals)],
        )
    )


def _verdict(records: Sequence[UnitRecord], planned: int, totals: FleetTotals) -> Verdict:
    failed = [record for record in records if record.state != "done"]
    missing = planned - len(records)
    sentences = [f"{record.name}: {record.reason}" for record in failed[:_NAMED]]
    if len(failed) > _NAMED:
        sentences.append(f"{len(failed) - _NAMED} more failed; the table has all reasons.")
    if missing:
        sentences.append(f"{missing} recordings were not reached; the same command goes on.")
    frames = sum(totals.frames.values())
    sentences.append(f"{figure(frames)} pairs of {len(records) - len(failed)} recordings are here.")
    if failed or missing:
        state = "failed" if len(failed) == planned else "attention"
        headline = f"{len(failed)} of {planned} recordings failed."
        if not failed:
            headline = "The fleet is not complete."
        return Verdict("failed" if state == "failed" else "attention", headline, tuple(sentences))
    return Verdict("good", f"All {planned} recordings are done.", tuple(sentences))


def _headlines(
    done: Sequence[UnitRecord], planned: int, totals: FleetTotals
) -> Iterator[HeadlineFigure]:
    minutes = sum(totals.last_ns[name] - start for name, start in totals.first_ns.items()) / 60e9
    capture = f"{figure(minutes / 60)} h" if minutes >= 60 else f"{figure(minutes)} min"
    yield HeadlineFigure("recordings done", f"{len(done)} of {planned}")
    yield HeadlineFigure("time of capture", capture)
    yield HeadlineFigure("pairs fused", figure(sum(totals.frames.values())))
    yield HeadlineFigure(
        "frames dropped", figure(sum(sum(record.figures["drops"].values()) for record in done))
    )
    for share, title in ((50, "median"), (95, "95 %"), (99, "99 %")):
        latency = figure(totals.latency_percentile(share))
        yield HeadlineFigure(f"latency, {title}", f"{latency} ms")


def _failures(records: Sequence[UnitRecord]) -> Iterator[PageTable]:
    rows = [[record.name, record.reason] for record in records if record.state != "done"]
    if rows:
        yield PageTable("Failed", ["recording", "reason"], rows, text_columns=frozenset({0, 1}))


def _recordings(done: Sequence[UnitRecord], totals: FleetTotals) -> PageTable:
    """Return one sortable row per recording."""
    head = [
        "recording",
        "pairs",
        "fused",
        "pairs/s",
        "dropped",
        "latency p50 (ms)",
        "p99 (ms)",
        "quality",
        "most frequent condition",
    ]
    rows = []
    for record in done:
        figures = record.figures
        latency = figures["latency_ms"].get("total", {})
        total, count = totals.qualities.get(record.name, (0.0, 0))
        numbers: list[float] = [
            figures["pairs"],
            figures["fused"],
            figures["fps"],
            sum(figures["drops"].values()),
            latency.get("p50", float("nan")),
            latency.get("p99", float("nan")),
            total / count if count else float("nan"),
        ]
        most = totals.conditions.get(record.name, Counter()).most_common(1)
        words = f"{most[0][0]} ({figure(most[0][1])})" if most else ""
        rows.append(
            [
                TableCell(record.name, record.name),
                *(TableCell(figure(number), _key(number)) for number in numbers),
                TableCell(words, words),
            ]
        )
    note = "Click a heading to sort."
    return PageTable("Recordings", head, rows, note, frozenset({0, len(head) - 1}), sortable=True)


def _key(number: float) -> float:
    """Return what a cell is sorted by; unknown values come first."""
    return float(number) if np.isfinite(number) else -1.0


def _worst(done: Sequence[UnitRecord], out: str) -> Iterator[PictureRow]:
    """Yield the worst moments, each recording's worst before any other's second."""
    moments = [[moment_from(values) for values in record.moments] for record in done]
    ranked = sorted(
        ((place, moment) for listed in moments for place, moment in enumerate(listed)),
        key=lambda entry: (entry[0], -entry[1].badness),
    )
    for _, moment in ranked[:_MOMENTS]:
        title = f"{moment.recording}, frame {moment.frame}"
        yield PictureRow(title, _pictures(moment, out), moment.conditions)


def _pictures(moment: Moment, out: str) -> dict[str, UInt8Image]:
    system, path = file_system(out)
    found = {}
    for caption, name in moment.pictures.items():
        data = system.cat_file(posixpath.join(path, moment.recording, name))
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        if picture is not None and picture.ndim == 3:
            picture = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
        if picture is not None:
            found[caption] = np.asarray(picture, np.uint8)
    return found


def _counts(done: Sequence[UnitRecord], totals: FleetTotals) -> Iterator[PageTable]:
    """Yield drops and conditions of the whole fleet."""
    drops: Counter[str] = Counter()
    for record in done:
        drops.update(record.figures["drops"])
    conditions: Counter[str] = Counter()
    for counts in totals.conditions.values():
        conditions.update(counts)
    both = frozenset({0, 1})
    for title, head, counter, meanings in (
        ("Frames dropped", ["cause", "meaning", "frames"], drops, DROP_CAUSES),
        ("Conditions", ["condition", "meaning", "results"], conditions, CONDITIONS),
    ):
        rows = [[name, meanings.get(name, ""), figure(n)] for name, n in counter.most_common() if n]
        if rows:
            yield PageTable(title, head, rows, text_columns=both)
