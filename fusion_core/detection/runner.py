"""Detection as a stage of the pipeline: detector, tracks, counters."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fusion_core.detection.class_names import ClassNames
from fusion_core.detection.detector import Detector
from fusion_core.detection.follower import ObjectFollower
from fusion_core.detection.pace import DetectionPace
from fusion_core.detection.settings import DetectionConfig
from fusion_core.detection.tracking import KEEP_S, LOW_SCORE, ObjectTracker
from fusion_core.runtime.closable import Closable
from fusion_core.runtime.message_filter import MessageFilter
from fusion_core.runtime.timed_call import (
    RECORDED_TIMEOUT_S,
    Call,
    CallTimeoutError,
    TimedCaller,
)
from fusion_core.types import AlignedPair, Detection, UInt8Image

_log = logging.getLogger(__name__)
FAILED = "detector_failed"
TIMED_OUT = "detector_timeout"


@dataclass(frozen=True, slots=True)
class _Look:
    """A pair that the detector was given.

    Attributes:
        call: What it finds, and when it was done.
        number: Number of the frame.
        stamp_ns: Its capture time in nanoseconds.
        begun_s: When it was given.
    """

    call: Call[tuple[tuple[Detection, ...], float]]
    number: int
    stamp_ns: int
    begun_s: float


class DetectionRunner(Closable):
    """Find and follow objects in each frame; a failure costs the frame its detections only.

    ``begin`` gives a pair to the detector, which works in a thread of its own; ``finish`` says what
    is in the frame. In a recording every frame waits for its detections. In a live stream the pace
    of the settings tells which pairs the detector gets and how long a frame waits; where it does
    not, objects are predicted to its stamp. Without tracks nothing can be predicted, so every pair
    is waited for.

    A detector that times out costs its frame the detections, and later ones at once until it gives
    an answer.

    Args:
        detector: The detector.
        config: What to take from it.

    Raises:
        UsageError: A label to keep is not one of the detector's.

    Attributes:
        active: Whether to run at all; a caller without subscribers may switch it off.
        detected_ns: Capture time of the last pair that the detector answered for, None before.
        look_ms: What the detector took, where it was done in the newest frame; else None.
    """

    def __init__(self, detector: Detector, config: DetectionConfig) -> None:
        self.active = True
        self.detected_ns: int | None = None
        self.look_ms: float | None = None
        self._detector = detector
        self._threshold = config.score_threshold or detector.card.conf
        self._labels = detector.class_names.select(config.labels, "detection.labels")
        self._tracker = ObjectTracker(self._threshold, KEEP_S) if config.track else None
        self._follower = ObjectFollower(self._tracker) if self._tracker else None
        self._pace = DetectionPace(config.every)
        self._look: _Look | None = None
        self._came_s = 0.0
        self._error: Exception | None = None
        self._looks = 0
        self._counts: Counter[str] = Counter()
        self._caller = TimedCaller("detector")
        self._failures = 0
        self._messages = MessageFilter()
        self._last_error = ""

    @property
    def class_names(self) -> ClassNames:
        """Names of the detector's classes."""
        return self._detector.class_names

    @property
    def takes_pair(self) -> bool:
        """Whether it looks at the cameras' pictures, and so can begin before they are fused."""
        return self._detector.takes_pair

    def begin(
        self,
        aligned: AlignedPair,
        image: UInt8Image | None = None,
        *,
        live: bool = False,
        came_s: float | None = None,
    ) -> None:
        """Give the detector a pair, if it is due and the detector is free; returns at once.

        Args:
            aligned: The pair.
            image: ``HxWx3`` uint8 RGB, the fused picture, for a detector that looks at it.
            live: Newer pairs come whatever happens.
            came_s: When the pair came, on the clock of ``time.perf_counter``; None: now.
        """
        self.look_ms, self._error = None, None
        now_s = time.perf_counter()
        self._came_s = now_s if came_s is None else came_s
        if not self.active:
            return
        try:
            self._take_late_answer()
            if not live or self._is_due(aligned.stamp_ns, now_s):
                self._give(aligned, image, now_s)
        except Exception as error:  # noqa: BLE001 - raised again where it costs the frame its boxes
            self._error = error

    def finish(
        self,
        aligned: AlignedPair,
        timeout_s: float = RECORDED_TIMEOUT_S,
        *,
        live: bool = False,
    ) -> tuple[tuple[Detection, ...], tuple[str, ...]]:
        """Return the objects of the frame that ``begin`` was last called for, and conditions.

        Args:
            aligned: The pair.
            timeout_s: Limit of the detector's time in seconds.
            live: As for ``begin``.
        """
        if not self.active:
            self._look = None
            return (), ()
        if self._follower:
            self._follower.advance(aligned)
        try:
            found = self._objects(aligned, timeout_s, live=live)
        except CallTimeoutError:
            path = self._detector.path
            self._count_failure(f"{path}: no result within {timeout_s:g} s; choose a faster one")
            return (), (TIMED_OUT,)
        except Exception as error:  # noqa: BLE001 - a frame without boxes is still a frame
            self._count_failure(f"{type(error).__name__}: {error}")
            return (), (FAILED,)
        return tuple(found), ()

    def status(self) -> dict[str, Any]:
        """Return the detector, and pairs it saw, detections, objects and failures so far."""
        return {
            **self._detector.about,
            "pairs": self._looks,
            "detections": dict(self._counts),
            "objects": dict(self._tracker.objects) if self._tracker else {},
            "failures": self._failures,
            "last_error": self._last_error,
        }

    def set_threshold(self, score: float) -> None:
        """Set the least score of a detection from the next frame on; 0: the model's own."""
        self._threshold = score or self._detector.card.conf
        if self._tracker:
            self._tracker.threshold = self._threshold

    def close(self) -> None:
        """End the detector's thread; one that timed out is left to itself."""
        self._caller.close()

    def _give(self, aligned: AlignedPair, image: UInt8Image | None, now_s: float) -> None:
        """Give the detector a pair.

        Raises:
            CallTimeoutError: It is still at work on one that was given up.
        """
        detect, least = self._detector.detect, self._threshold
        if self._tracker:
            least *= LOW_SCORE
        call = self._caller.start(
            lambda: (detect(image, aligned, score=least), time.perf_counter())
        )
        number = self._follower.frames + 1 if self._follower else 0
        self._look = _Look(call, number, aligned.stamp_ns, now_s)

    def _take_late_answer(self) -> None:
        """Take what the detector found in an earlier frame, so that it is free for this one.

        Raises:
            Exception: What the detector raised.
        """
        if self._look is not None and self._look.call.done:
            self._answer(self._look)

    def _is_due(self, stamp_ns: int, now_s: float) -> bool:
        """Return whether the detector shall look at the next pair of a live stream."""
        due = self._pace.is_due(stamp_ns, now_s)
        return self._follower is None or (due and self._look is None)

    def _objects(
        self, aligned: AlignedPair, timeout_s: float, *, live: bool
    ) -> Sequence[Detection]:
        """Return the objects of the newest frame, seen or predicted.

        Raises:
            CallTimeoutError: The detector takes too long.
            Exception: What the detector raised.
        """
        if self._error is not None:
            raise self._error
        look = self._look
        if look is None:
            return self._follower.predict() if self._follower else ()
        patience_s = timeout_s
        if live and self._follower:
            now_s, age_s = time.perf_counter(), self._age_s(aligned)
            patience_s = self._pace.patience_s(look.begun_s, self._came_s, now_s, timeout_s, age_s)
        if not look.call.wait(patience_s):
            if self._follower and time.perf_counter() - look.begun_s < timeout_s:
                return self._follower.predict()
            self._look = None
            raise CallTimeoutError(f"no result after {timeout_s:g} s")
        return self._answer(look)

    def _age_s(self, aligned: AlignedPair) -> float:
        """Return how long before a pair the objects that are known were seen, in seconds."""
        return 0.0 if self.detected_ns is None else (aligned.stamp_ns - self.detected_ns) / 1e9

    def _answer(self, look: _Look) -> Sequence[Detection]:
        """Take the answer of a look that is done; return the objects of the newest frame.

        Raises:
            Exception: What the detector raised.
        """
        self._look = None
        found, ended_s = look.call.result()
        self._pace.end(look.begun_s, ended_s)
        self.look_ms = (ended_s - look.begun_s) * 1e3
        return self._followed(look, found)

    def _followed(self, look: _Look, found: Sequence[Detection]) -> Sequence[Detection]:
        """Return the objects of the newest frame, after what the detector found in one."""
        self._looks += 1
        self.detected_ns = look.stamp_ns
        if self._labels:
            found = [detection for detection in found if detection.label in self._labels]
        if self._follower:
            found = self._follower.update(look.number, look.stamp_ns, found)
        self._counts.update(detection.label for detection in found)
        return found

    def _count_failure(self, message: str) -> None:
        if self._messages.is_new(message):
            _log.warning("a frame goes without detections: %s", message)
        self._last_error = message
        self._failures += 1
