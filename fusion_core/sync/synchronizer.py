"""Pairing of two streams by capture stamp.

The synchroniser is driven by stamps alone: it uses no clock and no thread, so a recording gives
the same pairs every time, at any speed. Frames may arrive with any delay between the streams.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from fusion_core.runtime.drop_log import DropLog
from fusion_core.sync.frame_buffer import FrameBuffer, Stamped
from fusion_core.sync.settings import SyncConfig
from fusion_core.types import Frame, FramePair, Modality

CAUSES: Final = (
    "no_partner",
    "unused",
    "too_old",
    "out_of_order",
    "duplicate",
    "overrun",
    "time_jump",
    "closed",
)
_BACKWARD_NS: Final = 1_000_000_000
_FORWARD_NS: Final = 10_000_000_000
# Stamps so far behind the other stream's output are delayed, or of another clock: observed until
# that is clear.
_OTHER_CLOCK_NS: Final = 1_000_000_000
_OBSERVED_NS: Final = 500_000_000
# Cameras stamped on arrival lag by less; a larger offset corrects a clock and delays nothing.
_LARGEST_LAG_NS: Final = 5_000_000_000


def _ns(milliseconds: float) -> int:
    return round(milliseconds * 1e6)


def thermal_offset_ns(config: SyncConfig) -> int:
    """Return what is added to thermal stamps, in nanoseconds; zero before ``auto`` is measured."""
    return 0 if config.thermal_offset_ms == "auto" else _ns(config.thermal_offset_ms)


class Synchronizer:
    """Pairs a master stream with a partner stream, and accounts for every frame.

    Every frame of the master stream gives at most one pair, in stamp order. Its partner is the
    nearest frame within ``max_skew_ms``; failing that the partner stream's newest frame up to
    ``max_age_ms`` old; failing that the policy ``on_missing_*`` decides. When the master stream
    falls silent for ``max_age_ms + wait_ms`` (and two of its own periods), the frames of the
    partner stream drive the output by the same policy. Policy ``hold`` gives a one-sided
    pair while there is no frame to hold.

    A pair is complete as soon as no coming partner can be nearer: the partner stream has reached
    the master's stamp, or by its rate the next frame will be farther away. A partner that is late
    is waited for until a stamp ``wait_ms`` past the master's has been seen on either stream;
    a stream that has been silent for ``max_age_ms + wait_ms`` (and two of its own periods) is not
    waited for. Where the offsets move one stream back relative to the other, it is given as much
    time more.

    Of each stream, frames read = frames used + frames dropped + frames pending, always. A frame is
    *used* once, in its first pair; pairing it again (``reused``) is not counted. Causes of drops:

    * ``no_partner``: policy ``skip`` refused a one-sided pair;
    * ``unused``: a frame of the partner stream that no master frame needed, such as the surplus of
      the faster camera; no fault;
    * ``too_old``: arrived after the output had passed its stamp;
    * ``out_of_order``, ``duplicate``: stamp below, or equal to, the stream's newest;
    * ``overrun``: the bounded buffer was full;
    * ``time_jump``: was pending when a stream's stamps jumped back by more than 1 s;
    * ``closed``: was pending at ``reset`` or ``close``, or came after ``close``.

    Stamps that jump forward by more than 10 s past both streams finish what is pending by policy
    and start afresh. Where the stream that leads the output changes to one whose stamps are older
    by more than 10 s, or by more than 1 s and stay so, the clocks differ, and the output starts
    afresh with the other clock. The first pair after each of these jumps carries the health
    ``time_jump``.

    Not thread-safe: one thread pushes.

    Args:
        config: Settings.
        capacity: Frames that each stream's buffer holds.
        drop_log: Where drops are recorded; a log of its own when None.

    Attributes:
        drop_log: The log of dropped frames.
        paired: Pairs given out so far, one-sided ones included.
    """

    def __init__(
        self, config: SyncConfig, capacity: int = 64, drop_log: DropLog | None = None
    ) -> None:
        self.drop_log = drop_log or DropLog()
        self.paired = 0
        self._max_skew = _ns(config.max_skew_ms)
        self._max_age = _ns(config.max_age_ms)
        self._capacity = capacity
        self._policy: dict[Modality, str] = {
            "visible": config.on_missing_visible,
            "thermal": config.on_missing_thermal,
        }
        self._streams: dict[Modality, FrameBuffer] = {
            "visible": FrameBuffer("visible", _ns(config.visible_offset_ms)),
            "thermal": FrameBuffer("thermal", thermal_offset_ns(config)),
        }
        self._master = self._streams[config.master]
        self._partner = self._streams["thermal" if config.master == "visible" else "visible"]
        self._wait_ms = config.wait_ms
        self._set_lag()
        self._read: dict[str, int] = {"visible": 0, "thermal": 0}
        self._used: dict[str, int] = {"visible": 0, "thermal": 0}
        self._output: int | None = None  # stamp of the last pair
        self._leader: FrameBuffer | None = None  # stream that gave it
        self._behind: dict[Modality, Frame] = {}  # first frame of a stream behind the output
        self._mark: int | None = None  # partner's newest stamp at the master's last arrival
        self._jumped = False
        self._closed = False

    @property
    def offsets_ns(self) -> dict[Modality, int]:
        """What is added to the stamps of each stream, in nanoseconds."""
        return {stream.modality: stream.offset_ns for stream in self._streams.values()}

    def set_thermal_offset(self, offset_ns: int) -> None:
        """Set what is added to thermal stamps from the next frame on; before the first one."""
        self._streams["thermal"].offset_ns = offset_ns
        self._set_lag()

    @property
    def read(self) -> Mapping[str, int]:
        """Frames pushed so far, by stream."""
        return MappingProxyType(dict(self._read))

    @property
    def used(self) -> Mapping[str, int]:
        """Frames that were part of at least one pair, by stream."""
        return MappingProxyType(dict(self._used))

    @property
    def pending(self) -> Mapping[str, int]:
        """Frames waiting in the buffers, by stream."""
        return MappingProxyType({name: len(s.waiting) for name, s in self._streams.items()})

    def push(self, frame: Frame) -> list[FramePair]:
        """Take a frame of either stream; return the pairs that it completes, in stamp order."""
        stream = self._streams[frame.modality]
        stamp = frame.stamp_ns + stream.offset_ns
        if self._closed:
            self.drop_closed(frame)
            return []
        self._read[frame.modality] += 1
        pairs: list[FramePair] = []
        if stream.newest is not None and stamp < stream.newest - _BACKWARD_NS:
            self._restart("time_jump")
        elif stream.newest is not None and stamp <= stream.newest:
            self._drop(
                "duplicate" if stamp == stream.newest else "out_of_order", Stamped(stamp, frame)
            )
            return []
        elif (latest := self._latest()) is not None and stamp > latest + _FORWARD_NS:
            pairs = self.flush()
            self._restart("time_jump")
        if stream is self._master:
            self._leave_other_clock(stream, Stamped(stamp, frame))
        late = self._output is not None and stamp <= self._output
        stream.accept(Stamped(stamp, frame, late))
        if stream is self._master:
            self._mark = self._partner.newest
            if late:
                self._drop("too_old", stream.waiting.pop())
        if len(stream.waiting) > self._capacity:
            self._drop("overrun", stream.waiting.popleft())
        return pairs + self._settle(final=False) + self._drive()

    def drop_closed(self, frame: Frame) -> None:
        """Count a frame that is not to be paired any more as read and dropped, cause ``closed``."""
        self._read[frame.modality] += 1
        offset = self._streams[frame.modality].offset_ns
        self._drop("closed", Stamped(frame.stamp_ns + offset, frame))

    def flush(self) -> list[FramePair]:
        """Finish at the end of the input: decide what is pending; nothing stays pending."""
        pairs = self._settle(final=True)
        if self._master.newest is None:
            pairs += self._drive_waiting()
        self._discard(self._partner.clear())
        return pairs

    def reset(self) -> None:
        """Start afresh with the next frame, as before another recording; the counts go on."""
        self._restart("closed")
        self._jumped = False

    def close(self) -> None:
        """Drop what is pending and every later frame as ``closed``."""
        self.reset()
        self._closed = True

    def _set_lag(self) -> None:
        # Stamps taken on arrival are corrected downwards: such a stream arrives that much later.
        lag = self._master.offset_ns - self._partner.offset_ns
        if abs(lag) > _LARGEST_LAG_NS:
            lag = 0
        wait = _ns(self._wait_ms)
        self._wait = wait + max(0, lag)
        self._silence = self._max_age + wait + max(0, -lag)

    def _leave_other_clock(self, stream: FrameBuffer, item: Stamped) -> None:
        """Start the output afresh when ``stream`` takes over from one whose clock is ahead.

        Otherwise it would give nothing until its stamps have reached the other clock.
        """
        behind = 0
        if self._output is not None and self._leader is not stream:
            behind = self._output - item.stamp_ns
        if behind <= _OTHER_CLOCK_NS:
            self._behind.pop(stream.modality, None)
        elif behind > _FORWARD_NS or self._keeps_real_time(item):
            self._behind.pop(stream.modality, None)
            self._output, self._jumped = None, True

    def _keeps_real_time(self, item: Stamped) -> bool:
        """Return whether a stream that is behind advances as fast as its frames are received.

        One that was delayed catches up; one with another clock does not.
        """
        frame = item.frame
        first = self._behind.setdefault(frame.modality, frame)
        if frame.received_ns is None or first.received_ns is None:
            return False
        elapsed = frame.received_ns - first.received_ns
        return elapsed >= _OBSERVED_NS and frame.stamp_ns - first.stamp_ns < 3 * elapsed

    def _settle(self, *, final: bool) -> list[FramePair]:
        """Decide pending master frames, oldest first, until one is worth waiting for."""
        pairs = []
        while self._master.waiting:
            if not final and self._worth_waiting(self._master.waiting[0].stamp_ns):
                break
            pair = self._decide(self._master.waiting.popleft())
            if pair is not None:
                pairs.append(pair)
        return pairs

    def _worth_waiting(self, stamp: int) -> bool:
        """Return whether a partner nearer to ``stamp`` than those at hand may still come."""
        partner, latest = self._partner, self._latest()
        if partner.newest is not None and partner.newest >= stamp:
            return False
        if latest is not None and latest - stamp >= self._wait:
            return False
        seen = partner.newest if partner.newest is not None else self._master.first
        # A slow stream is not silent: its next frame is due only after its period.
        silence = max(self._max_age, 2 * (partner.period_ns or 0)) + self._wait
        if seen is not None and stamp - seen > silence:
            return False
        nearest = self._nearest(stamp)
        predicted = partner.predict(stamp)
        if predicted is None:
            return nearest is None or nearest is partner.used
        if nearest is not None:
            return abs(predicted - stamp) < abs(nearest.stamp_ns - stamp)
        return abs(predicted - stamp) <= self._max_skew + self._prediction_error()

    def _prediction_error(self) -> int:
        """Return how far a predicted stamp may be off: a quarter of the shorter period."""
        periods = [s.period_ns for s in self._streams.values() if s.period_ns is not None]
        return min(periods, default=0) // 4

    def _nearest(self, stamp: int) -> Stamped | None:
        """Return the partner within the largest skew that is nearest to ``stamp``.

        A frame that was used before wins only if it is nearer by half a period: this keeps equal
        rates one-to-one under jitter, and lets the pairing fall back into step after a loss.
        """
        fresh = min(
            self._partner.waiting, key=lambda item: abs(item.stamp_ns - stamp), default=None
        )
        if fresh is not None and abs(fresh.stamp_ns - stamp) > self._max_skew:
            fresh = None
        used = self._partner.used
        if used is None or abs(used.stamp_ns - stamp) > self._max_skew:
            return fresh
        if fresh is None:
            return used
        gain = abs(fresh.stamp_ns - stamp) - abs(used.stamp_ns - stamp)
        return used if gain > (self._partner.period_ns or 0) // 2 else fresh

    def _decide(self, master: Stamped) -> FramePair | None:
        """Pair a master frame with its partner, or treat it by the policy."""
        stamp, partner = master.stamp_ns, self._partner
        choice = self._nearest(stamp)
        if choice is not None:
            return self._pair(master, self._master, choice, missing=False)
        recent = partner.latest_until(stamp)
        # A partner that drove the output from a clock ahead of this one is not recent.
        if recent is not None and recent.stamp_ns <= stamp:
            self._discard(partner.forget_before(recent.stamp_ns))
            if stamp - recent.stamp_ns <= self._max_age:
                return self._pair(master, self._master, recent, missing=False)
        return self._pair_by_policy(master, self._master, recent)

    def _drive(self) -> list[FramePair]:
        """Let the partner stream drive the output while the master stream is silent.

        Silent means both: no master stamp near the partner's, and no master frame arriving while
        the partner's stamps went on. A master that merely arrives late is not silent.
        """
        partner = self._partner
        if partner.newest is None or partner.first is None:
            return []
        heard = self._master.newest if self._master.newest is not None else partner.first
        mark = self._mark if self._mark is not None else partner.first
        limit = max(self._silence, 2 * (self._master.period_ns or 0))
        return self._drive_waiting() if partner.newest - max(heard, mark) > limit else []

    def _drive_waiting(self) -> list[FramePair]:
        """Make a pair of every waiting partner frame that is newer than the output."""
        pairs = []
        for item in self._partner.clear():
            self._leave_other_clock(self._partner, item)
            if self._output is not None and item.stamp_ns <= self._output:
                self._discard([item])
                continue
            pair = self._pair_by_policy(item, self._partner, self._master.used)
            if pair is not None:
                pairs.append(pair)
        return pairs

    def _pair_by_policy(
        self, lead: Stamped, stream: FrameBuffer, last: Stamped | None
    ) -> FramePair | None:
        """Pair ``lead`` of ``stream`` with the other stream's ``last`` frame by the policy."""
        policy = self._policy[self._other(stream).modality]
        if policy == "skip":
            self._drop("no_partner", lead)
            return None
        return self._pair(lead, stream, last if policy == "hold" else None, missing=True)

    def _pair(
        self, lead: Stamped, stream: FrameBuffer, other: Stamped | None, *, missing: bool
    ) -> FramePair:
        """Build the pair that carries the stamp of ``lead``, and count both frames as used."""
        opposite = self._other(stream)
        reused = other is not None and other is opposite.used
        if other is not None and not reused:
            self._discard(opposite.mark_used(other))
            self._used[opposite.modality] += 1
        stream.used = lead
        self._used[stream.modality] += 1
        self.paired += 1
        self._output, self._leader = lead.stamp_ns, stream
        health: tuple[str, ...] = ("time_jump",) if self._jumped else ()
        if missing:
            health += (f"{opposite.modality}_{'held' if other is not None else 'missing'}",)
        self._jumped = False
        sides = {stream.modality: lead, opposite.modality: other}
        visible, thermal = sides["visible"], sides["thermal"]
        return FramePair(
            stamp_ns=lead.stamp_ns,
            visible=visible.frame if visible else None,
            thermal=thermal.frame if thermal else None,
            skew_ns=thermal.stamp_ns - visible.stamp_ns if visible and thermal else None,
            reused=reused,
            lead=stream.modality,
            health=health,
        )

    def _other(self, stream: FrameBuffer) -> FrameBuffer:
        return self._partner if stream is self._master else self._master

    def _latest(self) -> int | None:
        """Return the newest stamp of either stream."""
        return max((s.newest for s in self._streams.values() if s.newest is not None), default=None)

    def _drop(self, cause: str, *items: Stamped) -> None:
        """Record frames that are in no pair."""
        for item in items:
            self.drop_log.record_drop(item.frame.modality, cause, item.frame.stamp_ns)

    def _discard(self, items: list[Stamped]) -> None:
        """Record partner frames that no pair had a use for."""
        for item in items:
            self._drop("too_old" if item.late else "unused", item)

    def _restart(self, cause: str) -> None:
        """Forget both streams' stamps after a jump in time or at the end of a recording."""
        for stream in self._streams.values():
            self._drop(cause, *stream.restart())
        self._output = self._mark = None
        self._behind.clear()
        self._jumped = True
