"""Which pairs of a live stream the detector gets, and how long a frame waits for it."""

from __future__ import annotations

import statistics
from collections import deque
from typing import Final, Literal

# The shortest of so many intervals between pairs is the camera's; longer ones are lost pairs.
_INTERVALS: Final = 8
_LOST: Final = 1.5
_TIMES: Final = 5  # the median of so many looks is what one takes
_LOOKS: Final = 8
"""Looks of the detector over which lost pairs count."""
_HARMLESS: Final = 1  # a look of them beside which a pair was lost is no overload
# Objects that were seen longer ago than this are worth a late frame. A robot at walking speed moves
# a tenth of a metre meanwhile.
_OLD_S: Final = 0.08
# Such a frame waits until so many intervals after it came. The next pair then waits, and the one
# after that, which would take its place, has not come yet.
_LATEST: Final = 1.75


class DetectionPace:
    """Gives the detector every Nth pair, or as many as the machine affords.

    With ``auto`` the detector works beside the stream: it takes the next pair whenever it is done
    with the one before. A frame waits for it, also for its answer to an earlier frame, only where
    that is expected so early that the next frame is not late, or where its objects would be old
    otherwise and no pair is lost by it. Where pairs are lost again and again while it works, it
    then rests for up to as long as it has worked.

    Args:
        every: N, or ``auto``.
    """

    def __init__(self, every: int | Literal["auto"]) -> None:
        self._every = every
        self._pairs = 0
        self._last_ns: int | None = None
        self._intervals_s: deque[float] = deque(maxlen=_INTERVALS)
        self._took_s: deque[float] = deque(maxlen=_TIMES)
        self._rest_until_s = 0.0
        self._lost = False
        self._losses: deque[bool] = deque(maxlen=_LOOKS)

    def is_due(self, stamp_ns: int, now_s: float) -> bool:
        """Take the next pair; return whether the detector shall look at it.

        Args:
            stamp_ns: Capture time in nanoseconds.
            now_s: The time now, in seconds.
        """
        number, self._pairs = self._pairs, self._pairs + 1
        last_ns, self._last_ns = self._last_ns, stamp_ns
        if last_ns is not None and stamp_ns > last_ns:
            self._intervals_s.append((stamp_ns - last_ns) / 1e9)
            self._lost |= self._intervals_s[-1] > _LOST * min(self._intervals_s)
        if self._every != "auto":
            return number % self._every == 0
        return now_s >= self._rest_until_s

    def patience_s(
        self, begun_s: float, came_s: float, now_s: float, limit_s: float, age_s: float = 0.0
    ) -> float:
        """Return how long a frame waits for the detector to be done with its pair, in seconds.

        Args:
            begun_s: When the detector was given the pair that it works on.
            came_s: When the pair of the frame came.
            now_s: The time now.
            limit_s: The longest time that is ever waited.
            age_s: How long before the frame its objects were seen where it does not wait.
        """
        if self._every != "auto" or not self._took_s or not self._intervals_s:
            return limit_s
        interval_s = min(self._intervals_s)
        next_s = came_s + interval_s
        # The next frame takes as long as this one has taken so far: it may begin so much later that
        # it is done when the one after it comes.
        latest_s = next_s + max(0.0, next_s - now_s)
        if age_s > _OLD_S:
            latest_s = max(latest_s, came_s + _LATEST * interval_s)
        if begun_s + statistics.median(self._took_s) > latest_s:
            return 0.0
        return min(limit_s, max(0.0, latest_s - now_s))

    def end(self, begun_s: float, now_s: float) -> None:
        """Note that the detector is done with a pair that it was given."""
        self._took_s.append(now_s - begun_s)
        self._losses.append(self._lost)
        share = max(0, sum(self._losses) - _HARMLESS) / (_LOOKS - _HARMLESS)
        self._rest_until_s = now_s + self._took_s[-1] * share
        self._lost = False
