"""Comparison of the two streams' clocks by what lies between a frame's stamp and its reception."""

from __future__ import annotations

import logging
import statistics
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from fusion_core.types import Frame, Modality

_log = logging.getLogger(__name__)
_SAMPLES: Final = 9
_SECOND_NS: Final = 1_000_000_000
# Cameras deliver up to some hundred milliseconds apart: less than this may be no fault of a clock.
_DELIVERY_NS: Final = _SECOND_NS // 2
# Nothing is delivered before it is sent: a stamp so far in the future is of a clock that is ahead.
_FUTURE_NS: Final = _SECOND_NS // 20  # simulated time advances in steps
_STEP_NS: Final = 100_000  # differences are corrected to .1 ms
# TAI is ahead of UTC by 37 s, GPS time by 18 s.
_SCALES_NS: Final = (37 * _SECOND_NS, 18 * _SECOND_NS, 19 * _SECOND_NS)
_SCALE_TOLERANCE_NS: Final = _SECOND_NS // 4

Leads = Mapping[Modality, int]
"""Stamp minus time of reception of each stream, in nanoseconds."""


class ClockMonitor:
    """Measures how far the thermal clock is ahead of the visible one.

    Of each stream the stamp minus the time of reception is kept for the newest nine frames; the
    difference of the medians is that of the clocks, up to what delivery takes. Differences below
    half a second are taken for delivery, unless one stream's stamps lie in the future and the
    other's do not. A stream whose stamps jump against its reception is measured afresh.

    Not thread-safe.

    Args:
        offsets_ns: Added to the stamps of each stream.
        rig_offset_ns: The part of the thermal offset that is the rig's, not the settings'.
    """

    def __init__(self, offsets_ns: dict[Modality, int], rig_offset_ns: int = 0) -> None:
        self._offsets = offsets_ns
        self._rig_offset = rig_offset_ns
        self._leads: dict[Modality, deque[int]] = {
            "visible": deque(maxlen=_SAMPLES),
            "thermal": deque(maxlen=_SAMPLES),
        }
        self._medians: Leads = {}
        self._warned = False

    @property
    def difference_ns(self) -> int | None:
        """Thermal minus visible clock as the cameras stamp, None before it is measured."""
        return self._medians["thermal"] - self._medians["visible"] if self._medians else None

    @property
    def correction_ns(self) -> int | None:
        """What to add to thermal stamps beside the offsets, None before it is measured."""
        if not self._medians:
            return None
        return correction(self._corrected(self._offsets), self._rig_offset)

    @property
    def problem(self) -> str:
        """What is wrong and what to set, empty when the clocks agree after the offsets.

        An offset may correct a clock, and then the corrected stamps agree with reception; or it
        corrects stamps that were taken on arrival, and then those before correction do.
        """
        if not self._medians:
            return ""
        without_rig = {**self._offsets, "thermal": self._offsets["thermal"] - self._rig_offset}
        as_stamped: Leads = {"visible": 0, "thermal": 0}
        tried: tuple[Leads, ...] = (as_stamped, self._offsets, without_rig)
        if any(_agree(self._corrected(offsets)) for offsets in tried):
            return ""
        difference = self._medians["thermal"] - self._medians["visible"]
        now = without_rig["thermal"]
        add = correction(self._corrected(self._offsets), self._rig_offset)
        return describe_difference(difference, now + add, now)

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
            self._medians = _medians(self._leads)
            self._warn()

    def _corrected(self, offsets_ns: Mapping[Modality, int]) -> Leads:
        """Return the leads after offsets."""
        return {name: lead + offsets_ns[name] for name, lead in self._medians.items()}

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


def measure_correction(
    frames: Iterable[Frame], offsets_ns: Mapping[Modality, int], rig_offset_ns: int = 0
) -> int | None:
    """Return what to add to thermal stamps so that the clocks agree, None without both streams.

    From the median of stamp minus reception where every frame knows its reception, otherwise from
    the first stamps, as if both streams began at the same moment.

    Args:
        frames: The first frames.
        offsets_ns: What is added to stamps already, by stream; the result comes on top.
        rig_offset_ns: As for ``correction``.
    """
    leads: dict[Modality, list[int]] = {"visible": [], "thermal": []}
    stamps: dict[Modality, list[int]] = {"visible": [], "thermal": []}
    for frame in frames:
        stamp = frame.stamp_ns + offsets_ns[frame.modality]
        stamps[frame.modality].append(stamp)
        if frame.received_ns is not None:
            leads[frame.modality].append(stamp - frame.received_ns)
    if not all(stamps.values()):
        return None
    if all(len(leads[name]) == len(stamps[name]) for name in stamps):
        return correction(_medians(leads), rig_offset_ns)
    start_ns = stamps["visible"][0]
    starts = {name: found[0] - start_ns for name, found in stamps.items()}
    return correction(starts, rig_offset_ns, future=False)


def correction(leads: Leads, rig_offset_ns: int = 0, *, future: bool = True) -> int:
    """Return what brings the thermal clock to the visible one; 0 for what delivery explains.

    It is exact where the clocks run on scales whose difference is known, otherwise right up to the
    difference of what delivery takes.

    Args:
        leads: Of both streams, after offsets.
        rig_offset_ns: The part of the offsets that is the rig's. One of half a second at most is
            that of the cameras and stays; a larger one is of clocks that no longer hold.
        future: Whether a positive lead is a stamp in the future.
    """
    difference = leads["thermal"] - leads["visible"]
    if _agree(leads) if future else abs(difference) <= _DELIVERY_NS:
        return 0
    if abs(rig_offset_ns) <= _DELIVERY_NS:
        difference -= rig_offset_ns
    for scale in _SCALES_NS:
        if abs(abs(difference) - scale) <= _SCALE_TOLERANCE_NS:
            return -scale if difference > 0 else scale
    return -round(difference / _STEP_NS) * _STEP_NS


def _agree(leads: Leads) -> bool:
    """Return whether delivery alone may explain these leads."""
    if abs(leads["thermal"] - leads["visible"]) > _DELIVERY_NS:
        return False
    return max(leads.values()) <= _FUTURE_NS or min(leads.values()) > 0


def _medians(leads: Mapping[Modality, Sequence[int]]) -> Leads:
    return {name: round(statistics.median(found)) for name, found in leads.items()}


def describe_difference(difference_ns: int, wanted_ns: int, now_ns: int) -> str:
    """Return one line that says how far the thermal clock is from the visible one, and what to do.

    Args:
        difference_ns: Thermal minus visible clock, before offsets.
        wanted_ns: The setting that corrects it.
        now_ns: The setting now.
    """
    seconds = abs(difference_ns) / _SECOND_NS
    digits = 1 if seconds >= 1 else 2
    place = "ahead of" if difference_ns > 0 else "behind"
    now = f" (now {now_ns / 1e6:.0f})" if now_ns else ""
    return (
        f"the clocks differ by {seconds:.{digits}f} s: thermal stamps are {place} visible ones; "
        "synchronise the cameras' clocks, or set sync.thermal_offset_ms to "
        f"{wanted_ns / 1e6:.0f}{now} or to auto"
    )
