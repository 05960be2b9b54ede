"""What the fleet's page needs of millions of frames, in bounded memory."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fusion_core.priors.kinds import THERMAL_KINDS, VISIBLE_KINDS
from fusion_core.sink.report_series import bin_edges

_SPAN_S: Final = 10.0  # of one point of the priors over time
CHANCES: Final = tuple(
    f"{modality}_{kind}"
    for modality, kinds in (("visible", VISIBLE_KINDS), ("thermal", THERMAL_KINDS))
    for kind in kinds
)
"""Columns of the table of frames that hold the prior's probabilities."""


@dataclass
class FleetTotals:
    """Sums over the frames of all recordings.

    Attributes:
        frames: Frames per recording.
        first_ns: Stamp of the first frame of each recording.
        last_ns: Stamp of the last one.
        latency: Number of the bin of the total latency, see ``bin_edges`` -> frames.
        conditions: Recording -> condition -> frames for which it held.
        chances: Span since the recording's start -> sums of ``CHANCES``, and number of frames.
        qualities: Sum and number of the quality scores per recording.
    """

    frames: Counter[str] = field(default_factory=Counter)
    first_ns: dict[str, int] = field(default_factory=dict)
    last_ns: dict[str, int] = field(default_factory=dict)
    latency: Counter[int] = field(default_factory=Counter)
    conditions: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    chances: dict[int, NDArray[np.float64]] = field(default_factory=dict)
    qualities: dict[str, tuple[float, int]] = field(default_factory=dict)

    def add_frames(self, recording: str, rows: pa.Table) -> None:
        """Add rows of one recording, in order."""
        if not rows.num_rows:
            return
        stamps = rows["stamp_ns"].to_numpy()
        self.frames[recording] += rows.num_rows
        self.first_ns.setdefault(recording, int(stamps[0]))
        self.last_ns[recording] = int(stamps[-1])
        self.conditions[recording].update(rows["health"].combine_chunks().flatten().to_pylist())
        edges = np.asarray(bin_edges())
        totals = np.clip(_floats(rows, "total_ms"), edges[0], edges[-2])
        bins = np.searchsorted(edges, totals[np.isfinite(totals)], side="right") - 1
        self.latency.update(bins.tolist())
        qualities = _floats(rows, "quality")
        known = qualities[np.isfinite(qualities)]
        total, count = self.qualities.get(recording, (0.0, 0))
        self.qualities[recording] = (total + float(known.sum()), count + len(known))
        self._add_chances(rows, stamps - self.first_ns[recording])

    def latency_percentile(self, share: float) -> float:
        """Return a percentile of the total latency in ms, to within 6 %; NaN without frames."""
        if not self.latency:
            return float("nan")
        bins = sorted(self.latency)
        counts = np.cumsum([self.latency[number] for number in bins])
        place = bins[int(np.searchsorted(counts, share / 100 * counts[-1]))]
        low, high = bin_edges()[place], bin_edges()[place + 1]
        return float(np.sqrt(low * high))

    def _add_chances(self, rows: pa.Table, since_ns: NDArray[np.int64]) -> None:
        values = np.stack([_floats(rows, name) for name in CHANCES], axis=1)
        spans = (since_ns / 1e9 // _SPAN_S).astype(int)
        present = np.isfinite(values).any(axis=1)
        for span in np.unique(spans[present]):
            inside = np.nan_to_num(values[present & (spans == span)]).astype(np.float64)
            row = np.append(inside.sum(axis=0), float(len(inside)))
            self.chances[int(span)] = self.chances.get(int(span), np.zeros_like(row)) + row

    def mean_chances(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the starts of the spans in s, and the mean of each of ``CHANCES`` in each."""
        spans = sorted(self.chances)
        sums = np.array([self.chances[span] for span in spans]).reshape(-1, len(CHANCES) + 1)
        return np.array(spans) * _SPAN_S, sums[:, :-1] / np.maximum(sums[:, -1:], 1)


def _floats(rows: pa.Table, name: str) -> NDArray[np.float64]:
    """Return a column as numbers, NaN where it is null."""
    return np.asarray(rows[name].to_numpy(), np.float64)
