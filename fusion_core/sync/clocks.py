"""Comparison of the two streams' clocks by what lies between a frame's stamp and its reception."""

from __future__ import annotations

import logging
import statistics
from collections import deque
from collections.abc import Iterable
from typing import Final

from fusion_core.types import Frame, Modality

_log = logging.getLogger(__name__)
_SAMPLES: Final = 9
_SECOND_NS: Final = 1_000_000_000
# Cameras deliver up to some hundred milliseconds apart: less than this may be no fault of a clock.
LEAST_DIFFERENCE_NS: Final = _SECOND_NS // 2


class ClockMonitor:
    """Measures how far the thermal clock is ahead of the visible one.

    Of each stream the stamp minus the time of reception is kept for the newest nine frames; the
    difference of the medians is that of the clocks, up to what delivery takes. A stream whose
    stamps jump against its reception is measured afresh.

    Not thread-safe.

    Args:
        offsets_ns: Added to the stamps of each stream by the settings.
    """

    def __init__(self, offsets_ns: dict[Modality, int]) -> None:
        self._offsets = offsets_ns
        self._leads: dict[Modality, deque[int]] = {
            "visible": deque(maxlen=_SAMPLES),
            "thermal": deque(maxlen=_SAMPLES),
        }
        self._difference: int | None = None
        self._warned = False

    @property
    def difference_ns(self) -> int | None:
        """Thermal minus visible clock as the cameras stamp, None before it is measured."""
        return self._difference

    @property
    def problem(self) -> str:
        """What is wrong and what to set, empty when the clocks agree after the offsets."""
        difference = self._difference
        if difference is None or not self._is_apart(difference):
            return ""
        return describe_difference(difference, self._offsets["thermal"])

    def observe(self, frame: Frame) -> None:
        """Take a frame of either stream as it was stamped; warn once when the clocks differ."""
        if frame.received_ns is None:
            return
        lead = frame.stamp_ns - frame.received_ns
        samples = self._leads[frame.modality]
        if samples and abs(lead - statistics.median(samples)) > _SECOND_NS:
            self.restart()
        samples.append(lead)
        if min(map(len, self._leads.values())) == _SAMPLES:
            self._difference = self._median_difference()
            self._warn()

    def _median_difference(self) -> int:
        medians = {name: round(statistics.median(leads)) for name, leads in self._leads.items()}
        return medians["thermal"] - medians["visible"]

    def _warn(self) -> None:
        if not self._warned and self.problem:
            self._warned = True
            _log.warning("%s", self.problem)

    def restart(self) -> None:
        """Measure afresh, as after a jump in time; the last difference stays until then."""
        for samples in self._leads.values():
            samples.clear()

    def set_offset(self, modality: Modality, offset_ns: int) -> None:
        """Take over an offset that was measured."""
        self._offsets[modality] = offset_ns

    def _is_apart(self, difference: int) -> bool:
        """Return whether the clocks differ, both as the cameras stamp and after the offsets.

        An offset may correct a clock, and then the corrected stamps agree with reception; or it
        corrects stamps that were taken on arrival, and then those before correction do.
        """
        after = difference + self._offsets["thermal"] - self._offsets["visible"]
        return min(abs(difference), abs(after)) > LEAST_DIFFERENCE_NS


def measure_difference(frames: Iterable[Frame]) -> int | None:
    """Return thermal minus visible clock in nanoseconds, None unless both streams are there.

    From the median of stamp minus reception where every frame knows its reception, otherwise from
    the first stamps, as if both streams began at the same moment.
    """
    leads: dict[Modality, list[int]] = {"visible": [], "thermal": []}
    stamps: dict[Modality, list[int]] = {"visible": [], "thermal": []}
    for frame in frames:
        stamps[frame.modality].append(frame.stamp_ns)
        if frame.received_ns is not None:
            leads[frame.modality].append(frame.stamp_ns - frame.received_ns)
    if not all(stamps.values()):
        return None
    if all(len(leads[name]) == len(stamps[name]) for name in stamps):
        return round(statistics.median(leads["thermal"]) - statistics.median(leads["visible"]))
    return stamps["thermal"][0] - stamps["visible"][0]


def describe_difference(difference_ns: int, offset_ns: int = 0) -> str:
    """Return one line that says how far the thermal clock is from the visible one, and what to do.

    Args:
        difference_ns: Thermal minus visible clock, before offsets.
        offset_ns: The offset of the thermal stamps now.
    """
    seconds = abs(difference_ns) / _SECOND_NS
    place = "ahead of" if difference_ns > 0 else "behind"
    now = f" (now {offset_ns / 1e6:.0f})" if offset_ns else ""
    return (
        f"the clocks differ by {seconds:.1f} s: thermal stamps are {place} visible ones; "
        "synchronise the cameras' clocks, or set sync.thermal_offset_ms to "
        f"{-difference_ns / 1e6:.0f}{now} or to auto"
    )
