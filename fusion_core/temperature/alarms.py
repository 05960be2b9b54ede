"""Alarms on objects whose temperature crosses a limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from fusion_core.temperature.settings import TemperatureConfig
from fusion_core.types import Alarm, Detection

_KEEP_NS: Final = 2_000_000_000  # longer than an unseen object keeps its identity

Kind = Literal["above", "below"]


@dataclass(slots=True)
class _State:
    """One object and limit: the alarm it is on the way to, and when it was measured last."""

    alarm: Alarm
    on: bool
    seen_ns: int


class AlarmMonitor:
    """Follows the temperatures of all objects that have an identity.

    An alarm begins when the limit has been crossed for ``alarm_after_s`` without a break, and ends
    when the temperature is back by the hysteresis, or two seconds after the object was measured
    last. Time is that of the capture stamps.

    Args:
        config: Limits, classes and times.
    """

    def __init__(self, config: TemperatureConfig) -> None:
        self._config = config
        limits: dict[Kind, float | str] = {
            "above": config.alarm_above_c,
            "below": config.alarm_below_c,
        }
        self._limits = {kind: v for kind, v in limits.items() if not isinstance(v, str)}
        self._states: dict[tuple[Kind, int], _State] = {}
        self._stamp_ns: int | None = None
        self.raised = 0
        """Alarms so far."""

    @property
    def has_limits(self) -> bool:
        """Whether any limit is set."""
        return bool(self._limits)

    def update(self, stamp_ns: int, detections: Sequence[Detection]) -> tuple[Alarm, ...]:
        """Return the alarms that are on, oldest first.

        Args:
            stamp_ns: Capture time in nanoseconds; all alarms end when it goes back.
            detections: Objects of one picture, with their temperatures.
        """
        if not self._limits:
            return ()
        if self._stamp_ns is not None and stamp_ns < self._stamp_ns:
            self._states = {}
        self._stamp_ns = stamp_ns
        for found in detections:
            value = self._value(found)
            if found.track_id is None or value is None:
                continue
            for kind, limit in self._limits.items():
                self._judge(kind, limit, found.track_id, found.label, value)
        self._states = {
            key: state
            for key, state in self._states.items()
            if stamp_ns - state.seen_ns <= _KEEP_NS
        }
        on = [state.alarm for state in self._states.values() if state.on]
        return tuple(sorted(on, key=lambda alarm: alarm.since_ns))

    def _value(self, found: Detection) -> float | None:
        """Return the temperature to compare, None where the object raises no alarms."""
        labels = self._config.alarm_labels
        if found.heat is None or (labels and found.label not in labels):
            return None
        return float(getattr(found.heat, self._config.alarm_by))

    def _judge(self, kind: Kind, limit: float, track_id: int, label: str, value: float) -> None:
        assert self._stamp_ns is not None
        state = self._states.get((kind, track_id))
        on = state is not None and state.on
        slack = self._config.alarm_hysteresis_k if on else 0.0
        crossed = value > limit - slack if kind == "above" else value < limit + slack
        if not crossed:
            self._states.pop((kind, track_id), None)
            return
        if state is None:
            alarm = Alarm(kind, track_id, label, value, limit, self._stamp_ns)
            state = self._states[kind, track_id] = _State(alarm, on=False, seen_ns=self._stamp_ns)
        state.seen_ns = self._stamp_ns
        state.alarm = replace(state.alarm, label=label, temperature=value)
        waited_s = (self._stamp_ns - state.alarm.since_ns) / 1e9
        if not state.on and waited_s >= self._config.alarm_after_s:
            state.on = True
            self.raised += 1
