"""Two cameras that misbehave at random, the same way for the same seed."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from fusion_core.types import Frame, FramePair, Modality

_SECOND_NS: Final = 1_000_000_000
_STREAMS: Final[tuple[Modality, ...]] = ("visible", "thermal")
# Frames that a fault lasts, at least and at most; reconnecting takes a camera seconds.
DURATIONS: Final[Mapping[str, tuple[int, int]]] = {
    "drop": (1, 5),
    "reconnect": (20, 100),
    "jump": (1, 1),
    "late": (1, 3),
    "duplicate": (1, 3),
    "encoding": (1, 10),
    "nan": (1, 10),
    "resized": (1, 20),
    "black": (5, 30),
    "frozen": (5, 30),
}


@dataclass(frozen=True, slots=True)
class CameraEvent:
    """What a driver hands on.

    Attributes:
        modality: The stream.
        frame: The frame; None for an image whose encoding is unknown.
    """

    modality: Modality
    frame: Frame | None


class FaultyCamera:
    """One stream of prepared frames with new stamps, and one fault at a time.

    Args:
        frames: At least one frame, taken round and round.
        rate_hz: Frames per second.
        chance: Probability that a frame begins a fault.
        seed: Of the faults.

    Attributes:
        faults: Faults begun, by kind.
    """

    def __init__(self, frames: Sequence[Frame], rate_hz: float, chance: float, seed: int) -> None:
        self.faults: Counter[str] = Counter()
        self._frames = frames
        self._period_ns = round(_SECOND_NS / rate_hz)
        self._chance = chance
        self._random = random.Random(seed)  # noqa: S311 - to repeat a run, not to hide one
        self._number = 0
        self._offset_ns = 0
        self._fault: str | None = None
        self._left = 0
        self._shown = frames[0]

    @property
    def fault(self) -> str | None:
        """The fault of the frame that was handed on last, None without one."""
        return self._fault

    def next_events(self) -> Iterator[CameraEvent]:
        """Yield what the driver hands on for the next frame: mostly one event."""
        number, self._number = self._number, self._number + 1
        self._advance_fault()
        clean = self._frames[number % len(self._frames)]
        if self._fault != "frozen":
            self._shown = clean
        stamp_ns = _SECOND_NS * 1000 + number * self._period_ns + self._offset_ns
        frame = replace(self._shown, stamp_ns=stamp_ns, sequence=number)
        yield from _FAULTS.get(self._fault or "none", _unchanged)(frame)

    def _advance_fault(self) -> None:
        """End a fault whose time is over, or begin one."""
        if self._left:
            self._left -= 1
            return
        self._fault = None
        if self._random.random() < self._chance:
            self._fault = kind = self._random.choice(list(DURATIONS))
            self._left = self._random.randint(*DURATIONS[kind]) - 1
            self.faults[kind] += 1
            if kind == "jump":
                self._offset_ns += self._random.choice([-20, -2, 2, 20]) * _SECOND_NS


def faulty_cameras(
    pairs: Sequence[FramePair], rate_hz: float, chance: float, seed: int
) -> dict[Modality, FaultyCamera]:
    """Return both cameras of some pairs; see ``FaultyCamera``."""
    sides: dict[Modality, list[Frame]] = {
        "visible": [pair.visible for pair in pairs if pair.visible is not None],
        "thermal": [pair.thermal for pair in pairs if pair.thermal is not None],
    }
    return {
        name: FaultyCamera(sides[name], rate_hz, chance, seed + number)
        for number, name in enumerate(_STREAMS)
    }


def _unchanged(frame: Frame) -> Iterator[CameraEvent]:
    yield CameraEvent(frame.modality, frame)


def _nothing(_frame: Frame) -> Iterator[CameraEvent]:
    return iter(())


def _late(frame: Frame) -> Iterator[CameraEvent]:
    """Arrive with a stamp of half a second ago."""
    yield CameraEvent(frame.modality, replace(frame, stamp_ns=frame.stamp_ns - _SECOND_NS // 2))


def _duplicate(frame: Frame) -> Iterator[CameraEvent]:
    for _ in range(2):
        yield CameraEvent(frame.modality, frame)


def _encoding(frame: Frame) -> Iterator[CameraEvent]:
    yield CameraEvent(frame.modality, None)


def _nan(frame: Frame) -> Iterator[CameraEvent]:
    """Give temperatures with holes; a colour camera has none, its picture turns white."""
    if frame.modality == "visible":
        yield CameraEvent(frame.modality, replace(frame, image=np.full_like(frame.image, 255)))
        return
    image = frame.image.astype(np.float32)
    image[:: frame.sequence % 3 + 1] = np.nan
    yield CameraEvent(frame.modality, replace(frame, image=image, encoding="32FC1"))


def _resized(frame: Frame) -> Iterator[CameraEvent]:
    half = np.ascontiguousarray(frame.image[::2, ::2])
    yield CameraEvent(frame.modality, replace(frame, image=half))


def _black(frame: Frame) -> Iterator[CameraEvent]:
    yield CameraEvent(frame.modality, replace(frame, image=np.zeros_like(frame.image)))


_FAULTS: Final[dict[str, Callable[[Frame], Iterator[CameraEvent]]]] = {
    "drop": _nothing,
    "reconnect": _nothing,
    "late": _late,
    "duplicate": _duplicate,
    "encoding": _encoding,
    "nan": _nan,
    "resized": _resized,
    "black": _black,
}
