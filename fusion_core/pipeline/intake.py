"""The pipeline's input: frames of any thread in, pairs out, all of them counted."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fusion_core.pipeline.bracket_collector import BracketCollector
from fusion_core.pipeline.stream_clocks import StreamClocks
from fusion_core.runtime.drop_log import DropLog
from fusion_core.runtime.latest_slot import LatestSlot
from fusion_core.runtime.meters import RateMeter
from fusion_core.sync import SyncConfig, Synchronizer
from fusion_core.transport.picture import MAX_PIXELS
from fusion_core.types import Frame, FramePair, Modality

_log = logging.getLogger(__name__)


class FrameIntake:
    """Pairs frames, and hands the newest pair to the thread that fuses.

    Pairing and hand-over are one step under one lock, so a pair never displaces one that was made
    after it. All methods may be called from any thread.

    Args:
        config: Settings of the pairing.
        rig_offset_ms: Added to thermal stamps on top of the settings', also where that is measured.
        bracket: Exposures that the visible camera takes in turn; 1 for none.

    Attributes:
        drop_log: Frames that are in no result. Of a pair that is not fused, the leading frame is
            recorded: ``busy`` (a newer pair came first), ``frozen``, ``failed`` or ``abandoned``
            (the stream was closed first). A frame of more than ``MAX_PIXELS`` is ``too_large``.
        rates: Meters of the two streams.
    """

    def __init__(self, config: SyncConfig, rig_offset_ms: float = 0.0, bracket: int = 1) -> None:
        self.drop_log = DropLog()
        self.rates: dict[str, RateMeter] = {"visible": RateMeter(), "thermal": RateMeter()}
        self._sync = Synchronizer(config, drop_log=self.drop_log)
        rig_offset_ns = round(rig_offset_ms * 1e6)
        self._sync.set_thermal_offset(self._sync.offsets_ns["thermal"] + rig_offset_ns)
        self._clocks = StreamClocks(
            self._sync, auto=config.thermal_offset_ms == "auto", rig_offset_ns=rig_offset_ns
        )
        self._bracket = BracketCollector(bracket, self.drop_log) if bracket > 1 else None
        self._slot: LatestSlot[tuple[FramePair, float]] = LatestSlot()
        self._oversized: set[Modality] = set()
        self._lock = threading.Lock()

    @property
    def offsets_ns(self) -> dict[Modality, int | None]:
        """What is added to the stamps of each stream; None where it is still to be measured."""
        return self._clocks.offsets_ns

    @property
    def clocks(self) -> Mapping[str, Any]:
        """State of the two clocks; see ``StreamClocks.report``."""
        return self._clocks.report()

    @property
    def read(self) -> Mapping[str, int]:
        """Frames taken in, by stream."""
        if self._bracket is None:
            return self._sync.read
        beside = self._bracket.dropped + self._bracket.waiting
        return {**self._sync.read, "visible": self._sync.read["visible"] + beside}

    @property
    def used(self) -> Mapping[str, int]:
        """Frames that were part of at least one pair, by stream."""
        return self._sync.used

    @property
    def pairs(self) -> int:
        """Pairs formed."""
        return self._sync.paired

    def pair_frame(self, frame: Frame) -> list[FramePair]:
        """Take a frame of a recording; return the pairs that it completes."""
        with self._lock:
            return self._pair(frame)

    def pair_pending(self) -> list[FramePair]:
        """Return the pairs of the frames that still wait, at the end of a recording."""
        with self._lock:
            self._drop_waiting()
            return self._clocks.flush()

    def submit_frame(self, frame: Frame) -> None:
        """Take a live frame; the newest pair that it completes waits for ``next_pair``."""
        if frame.received_ns is None:
            frame = replace(frame, received_ns=time.time_ns())
        with self._lock:
            self._publish(self._pair(frame))

    def count_invalid(self, modality: Modality, cause: str, stamp_ns: int | None) -> None:
        """Count an image that did not become a frame."""
        self.rates[modality].count_event()
        self.drop_log.record_drop(modality, cause, stamp_ns)

    def drop_pair(self, pair: FramePair, cause: str) -> None:
        """Record a pair that is not fused."""
        leading = pair.lead_frame
        self.drop_log.record_drop(leading.modality, cause, leading.stamp_ns)

    def next_pair(self) -> tuple[FramePair, float] | None:
        """Wait for the newest live pair; None after the end.

        Returns:
            The pair, and when it was formed on the clock of ``time.perf_counter``.
        """
        return self._slot.take_latest()

    def end_live(self) -> None:
        """Pair what still waits and let ``next_pair`` end after the last pair."""
        with self._lock:
            self._drop_waiting()
            self._publish(self._clocks.flush())
            self._slot.close()

    def reset(self) -> None:
        """Start afresh with the next frame; drop what has not been paired or fused."""
        with self._lock:
            self._empty_slot()
            self._drop_waiting()
            self._slot = LatestSlot()
            self._clocks.reset()

    def close(self) -> None:
        """Drop what has not been paired or fused, and every later frame."""
        with self._lock:
            self._empty_slot()
            self._drop_waiting()
            self._clocks.close()

    def _pair(self, frame: Frame) -> list[FramePair]:
        self.rates[frame.modality].count_event()
        if math.prod(frame.image.shape[:2]) > MAX_PIXELS:
            self.drop_log.record_drop(frame.modality, "too_large", frame.stamp_ns)
            self._warn_of_size(frame)
            return []
        if self._bracket is not None and frame.modality == "visible":
            merged = self._bracket.push(frame)
            return [] if merged is None else self._clocks.push(merged)
        return self._clocks.push(frame)

    def _warn_of_size(self, frame: Frame) -> None:
        """Log the first frame of each stream that is too large."""
        if frame.modality not in self._oversized:
            self._oversized.add(frame.modality)
            _log.warning(
                "%s frames of %dx%d pixels are left out: the limit is %.1f megapixels; reduce them "
                "first",
                frame.modality,
                frame.image.shape[1],
                frame.image.shape[0],
                MAX_PIXELS / 1e6,
            )

    def _publish(self, pairs: list[FramePair]) -> None:
        for pair in pairs:
            entry = pair, time.perf_counter()
            displaced = self._slot.publish_latest(entry)
            if displaced is not None:
                self.drop_pair(displaced[0], "abandoned" if displaced is entry else "busy")

    def _drop_waiting(self) -> None:
        if self._bracket is not None:
            self._bracket.drop_waiting()

    def _empty_slot(self) -> None:
        self._slot.close()
        left = self._slot.take_latest()
        if left is not None:
            self.drop_pair(left[0], "abandoned")
