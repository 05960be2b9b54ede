"""One of the two streams in the synchroniser: stamps, rate, frames not used yet."""

from __future__ import annotations

import statistics
from collections import deque
from dataclasses import dataclass

from fusion_core.types import Frame, Modality

_INTERVALS = 9  # a median over nine intervals is right with up to four lost frames


@dataclass(frozen=True, slots=True, eq=False)
class Stamped:
    """A frame with its stamp after the stream's offset.

    Attributes:
        stamp_ns: Capture time after the offset, in nanoseconds.
        frame: The frame.
        late: It arrived after the output had moved past its stamp.
    """

    stamp_ns: int
    frame: Frame
    late: bool = False


class FrameBuffer:
    """State of one stream.

    Attributes:
        modality: Which stream.
        offset_ns: Added to every stamp.
        newest: Newest stamp accepted since the last reset, None before the first.
        first: First stamp accepted since the last reset, None before.
        waiting: Frames not used yet, by ascending stamp.
        used: Newest frame that was part of a pair, None before the first.
    """

    def __init__(self, modality: Modality, offset_ns: int) -> None:
        self.modality: Modality = modality
        self.offset_ns = offset_ns
        self.newest: int | None = None
        self.first: int | None = None
        self.waiting: deque[Stamped] = deque()
        self.used: Stamped | None = None
        self._intervals: deque[int] = deque(maxlen=_INTERVALS)
        self._period: int | None = None

    def accept(self, item: Stamped) -> None:
        """Take a frame whose stamp is later than all before it."""
        if self.newest is not None:
            self._intervals.append(item.stamp_ns - self.newest)
            self._period = int(statistics.median(self._intervals))
        if self.first is None:
            self.first = item.stamp_ns
        self.newest = item.stamp_ns
        self.waiting.append(item)

    @property
    def period_ns(self) -> int | None:
        """Running estimate of the frame interval in nanoseconds, None before two frames."""
        return self._period

    def predict(self, stamp_ns: int) -> int | None:
        """Return the expected stamp of a coming frame that lies nearest to ``stamp_ns``."""
        if self.newest is None or not self._period:
            return None
        steps = max(1, round((stamp_ns - self.newest) / self._period))
        return self.newest + steps * self._period

    def latest_until(self, stamp_ns: int) -> Stamped | None:
        """Return the newest frame, used or not, captured at or before ``stamp_ns``."""
        for item in reversed(self.waiting):
            if item.stamp_ns <= stamp_ns:
                return item
        return self.used

    def mark_used(self, item: Stamped) -> list[Stamped]:
        """Mark a waiting frame as used; return the older ones, which no pair can use any more."""
        passed = self.forget_before(item.stamp_ns)
        self.waiting.popleft()
        self.used = item
        return passed

    def forget_before(self, stamp_ns: int) -> list[Stamped]:
        """Remove and return the waiting frames captured before ``stamp_ns``."""
        passed = []
        while self.waiting and self.waiting[0].stamp_ns < stamp_ns:
            passed.append(self.waiting.popleft())
        return passed

    def clear(self) -> list[Stamped]:
        """Remove and return all waiting frames."""
        passed = list(self.waiting)
        self.waiting.clear()
        return passed

    def restart(self) -> list[Stamped]:
        """Forget stamps and frames, keep the rate; return the frames that were waiting."""
        self.newest = self.first = self.used = None
        return self.clear()
