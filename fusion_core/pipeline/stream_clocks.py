"""The pairing, with the streams' clocks compared and the offset between them measured."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any, Final

from fusion_core.sync import ClockMonitor, Synchronizer
from fusion_core.sync.clocks import measure_correction
from fusion_core.types import Frame, FramePair, Modality

_log = logging.getLogger(__name__)
_ENOUGH: Final = 5  # frames of each stream from which an offset is measured
_MOST_HELD: Final = 64  # frames held until then: a few seconds of two streams


class StreamClocks:
    """Hands frames to the synchroniser and watches how their stamps fit their reception.

    With ``auto`` the first frames are held until an offset is measured from five of each stream,
    or until 64 are held; the offset then stays as it is. A stream that comes later than that is
    measured from its first nine frames.

    Not thread-safe.

    Args:
        synchronizer: What pairs.
        auto: Measure the offset of the thermal stream, on top of the synchroniser's.
        rig_offset_ns: The part of the synchroniser's offset that is the rig's.
    """

    def __init__(self, synchronizer: Synchronizer, *, auto: bool, rig_offset_ns: int = 0) -> None:
        self._sync = synchronizer
        self._auto = auto
        self._rig_offset = rig_offset_ns
        self._measuring = auto
        self._missed = False  # one stream gave nothing while frames were held
        self._monitor = ClockMonitor(synchronizer.offsets_ns, rig_offset_ns)
        self._held: list[Frame] = []
        self._first: dict[Modality, int] = {}  # first stamps, offsets included
        self._ended = False

    @property
    def offsets_ns(self) -> dict[Modality, int | None]:
        """What is added to the stamps of each stream; None where it is still to be measured."""
        offsets: dict[Modality, int | None] = dict(self._sync.offsets_ns)
        if self._measuring:
            offsets["thermal"] = None
        return offsets

    def push(self, frame: Frame) -> list[FramePair]:
        """Take a frame of either stream; return the pairs that it completes."""
        if self._ended:  # the report of an input stays until the next one begins
            self._ended = False
            self._first.clear()
        if not self._measuring:
            self._monitor.observe(frame)
            if self._missed and self._monitor.correction_ns is not None:
                self._missed = False
                self._apply(self._monitor.correction_ns)
            offset = self._sync.offsets_ns[frame.modality]
            self._first.setdefault(frame.modality, frame.stamp_ns + offset)
            return self._marked(self._sync.push(frame))
        self._held.append(frame)
        counts = [sum(f.modality == name for f in self._held) for name in ("visible", "thermal")]
        if min(counts) < _ENOUGH and len(self._held) < _MOST_HELD:
            return []
        return self._release()

    def flush(self) -> list[FramePair]:
        """Finish at the end of the input; nothing stays pending."""
        pairs = self._release() if self._held else []
        return pairs + self._marked(self._sync.flush())

    def reset(self) -> None:
        """Start afresh with the next frame; an offset that was measured stays."""
        self._drop_held()
        self._monitor.restart()
        self._ended = True
        self._sync.reset()

    def close(self) -> None:
        """Drop what is pending and every later frame."""
        self._drop_held()
        self._measuring = False
        self._sync.close()

    def report(self) -> dict[str, Any]:
        """Return what is known of the clocks.

        Returns:
            ``difference_s``: thermal minus visible clock from stamps and reception, None where it
            is not known; ``start_difference_s``: first thermal minus first visible stamp after
            offsets, None before; ``thermal_offset_ms`` in force; ``auto``: it is or will be
            measured; ``problem``: one line, empty when there is none.
        """
        first = self._first
        start = first["thermal"] - first["visible"] if len(first) == 2 else None
        return {
            "difference_s": _seconds(self._monitor.difference_ns),
            "start_difference_s": _seconds(start),
            "thermal_offset_ms": self._sync.offsets_ns["thermal"] / 1e6,
            "auto": self._auto,
            "problem": self._monitor.problem,
        }

    def _drop_held(self) -> None:
        for frame in self._held:
            self._sync.drop_closed(frame)
        self._held.clear()

    def _release(self) -> list[FramePair]:
        """Measure the offset from the frames held, and pair them."""
        self._measuring = False
        held, self._held = self._held, []
        correction = measure_correction(held, self._sync.offsets_ns, self._rig_offset)
        self._missed = correction is None
        if correction is None:
            _log.warning("sync.thermal_offset_ms auto: waits for the stream that is missing")
        else:
            self._apply(correction)
        return [pair for frame in held for pair in self.push(frame)]

    def _apply(self, correction: int) -> None:
        """Add what was measured to the offset of the rig."""
        offset = self._sync.offsets_ns["thermal"] + correction
        self._sync.set_thermal_offset(offset)
        self._monitor.set_offset("thermal", offset)
        _log.log(
            logging.WARNING if correction else logging.INFO,
            "sync.thermal_offset_ms auto: %.1f ms are added to thermal stamps",
            offset / 1e6,
        )

    def _marked(self, pairs: list[FramePair]) -> list[FramePair]:
        """Return the pairs with the health ``clocks_differ`` while the clocks do."""
        if not self._monitor.problem:
            return pairs
        return [replace(pair, health=(*pair.health, "clocks_differ")) for pair in pairs]


def _seconds(nanoseconds: int | None) -> float | None:
    return None if nanoseconds is None else round(nanoseconds / 1e9, 3)
