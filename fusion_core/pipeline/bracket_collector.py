"""Frames of a camera that alternates its exposure, gathered into brackets."""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import replace
from typing import Final

import cv2
import numpy as np

from fusion_core.runtime.drop_log import DropLog
from fusion_core.stacks.exposures import exposedness
from fusion_core.types import Frame

_log = logging.getLogger(__name__)
# Two frames are of different exposures from this ratio of exposure times, or of mean levels, on.
_LEAST_EXPOSURE_RATIO: Final = 1.3
_LEAST_LEVEL_RATIO: Final = 1.12
# Frames of one bracket follow each other at least this closely.
_LONGEST_NS: Final = 1_000_000_000
# After so many brackets' frames without one the camera is taken not to alternate.
_PATIENCE: Final = 4
# How much of the newest bracket goes into the mean by which the reference is chosen, and by what
# factor another exposure must be better to become it: a reference that changes would flicker.
_SHARE: Final = 0.1
_LEAD: Final = 1.25


class BracketCollector:
    """Gathers the newest frames of all exposures; each frame is in one bracket.

    Of a bracket one frame, the reference, goes on with all of them attached; the others are
    recorded as ``bracketed``. Its stamp is that of the merged picture. A frame whose companions
    were lost is recorded as ``bracket_incomplete``. Exposures are told apart by the exposure time,
    where frames have one, else by their mean level. A camera that does not alternate, or no longer
    does, passes frame by frame.

    Args:
        size: Exposures of a bracket.
        drop_log: Where drops are recorded.

    Attributes:
        dropped: Frames recorded as dropped so far.
    """

    def __init__(self, size: int, drop_log: DropLog) -> None:
        self.dropped = 0
        self._size = size
        self._drop_log = drop_log
        self._waiting: deque[Frame] = deque()
        self._since_bracket = 0
        self._alone: Frame | None = None
        self._merit = np.zeros(size)
        self._reference = (size - 1) // 2

    @property
    def waiting(self) -> int:
        """Frames that wait for the others of their bracket."""
        return len(self._waiting)

    def push(self, frame: Frame) -> Frame | None:
        """Take the next frame; return the reference of the bracket that it completes.

        A frame returned without a bracket attached stands alone, as the camera does not alternate.
        """
        self._waiting.append(frame)
        self._since_bracket += 1
        while not self._is_possible():
            self._drop(self._waiting.popleft(), "bracket_incomplete")
        if len(self._waiting) == self._size:
            return self._take_bracket()
        if self._since_bracket > _PATIENCE * self._size:
            if self._alone is not None and _differ(self._alone, frame):
                self._alone, self._since_bracket = None, 1  # it may alternate from now on
                return None
            self._alone = frame
            if self._since_bracket == _PATIENCE * self._size + 1:
                _log.warning(
                    "source.bracket is %d, but the visible camera does not alternate its exposure: "
                    "its frames are fused one by one",
                    self._size,
                )
            return self._waiting.pop()
        return None

    def drop_waiting(self) -> None:
        """Record the frames whose companions will not come."""
        while self._waiting:
            self._drop(self._waiting.popleft(), "bracket_incomplete")

    def _is_possible(self) -> bool:
        """Whether the frames that wait can be of one bracket."""
        *before, newest = self._waiting
        return all(
            frame.image.shape == newest.image.shape
            and 0 < newest.stamp_ns - frame.stamp_ns < _LONGEST_NS
            and _differ(frame, newest)
            for frame in before
        )

    def _take_bracket(self) -> Frame:
        ordered = _dark_to_bright(self._waiting)
        self._waiting.clear()
        self._since_bracket = 0
        merits = np.array([exposedness(frame.image) for frame in ordered])
        started = bool(self._merit.any())
        self._merit += (_SHARE if started else 1.0) * (merits - self._merit)
        best = int(np.argmax(self._merit))
        if not started or self._merit[best] > _LEAD * self._merit[self._reference]:
            self._reference = best
        for place, frame in enumerate(ordered):
            if place != self._reference:
                self._drop(frame, "bracketed")
        return replace(ordered[self._reference], bracket=ordered)

    def _drop(self, frame: Frame, cause: str) -> None:
        self.dropped += 1
        self._drop_log.record_drop(frame.modality, cause, frame.stamp_ns)


def _differ(first: Frame, second: Frame) -> bool:
    """Return whether two frames are of different exposures."""
    one, other, least = _level(first), _level(second), _LEAST_LEVEL_RATIO
    if first.exposure_s and second.exposure_s:
        one, other, least = first.exposure_s, second.exposure_s, _LEAST_EXPOSURE_RATIO
    return max(one, other) >= least * min(one, other)


def _dark_to_bright(frames: deque[Frame]) -> tuple[Frame, ...]:
    """Return frames by exposure time, or by their level where one has none."""
    if all(frame.exposure_s for frame in frames):
        return tuple(sorted(frames, key=lambda frame: frame.exposure_s or 0.0))
    return tuple(sorted(frames, key=_level))


def _level(frame: Frame) -> float:
    """Return the mean level, counted from 1; every fourth row and column is enough."""
    return 1.0 + float(np.mean(cv2.mean(frame.image[::4, ::4])[:3]))
