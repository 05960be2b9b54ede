"""Detection as a stage of the pipeline: detector, tracks, counters."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any

from fusion_core.detection.camera_motion import CameraMotion
from fusion_core.detection.class_names import ClassNames
from fusion_core.detection.detector import Detector
from fusion_core.detection.settings import DetectionConfig
from fusion_core.detection.tracking import KEEP_S, LOW_SCORE, ObjectTracker
from fusion_core.runtime.closable import Closable
from fusion_core.runtime.message_filter import MessageFilter
from fusion_core.runtime.timed_call import RECORDED_TIMEOUT_S, CallTimeoutError, TimedCaller
from fusion_core.types import AlignedPair, Box, Detection, UInt8Image

_log = logging.getLogger(__name__)
FAILED = "detector_failed"
TIMED_OUT = "detector_timeout"


class DetectionRunner(Closable):
    """Find and follow objects in each frame; a failure costs the frame its detections only.

    So does a detector that times out: the frame goes on without it when its time is over, and later
    ones do at once until the detector gives an answer.

    Args:
        detector: The detector.
        config: What to take from it.

    Raises:
        UsageError: A label to keep is not one of the detector's.

    Attributes:
        active: Whether to run at all; a caller without subscribers may switch it off.
    """

    def __init__(self, detector: Detector, config: DetectionConfig) -> None:
        self.active = True
        self._detector = detector
        self._threshold = config.score_threshold or detector.card.conf
        self._labels = detector.class_names.select(config.labels, "detection.labels")
        self._tracker = ObjectTracker(self._threshold, KEEP_S) if config.track else None
        self._motion = CameraMotion()
        self._seen: tuple[Box, ...] = ()
        self._counts: Counter[str] = Counter()
        self._caller = TimedCaller("detector")
        self._failures = 0
        self._messages = MessageFilter()
        self._last_error = ""

    @property
    def class_names(self) -> ClassNames:
        """Names of the detector's classes."""
        return self._detector.class_names

    def run(
        self, image: UInt8Image, aligned: AlignedPair, timeout_s: float = RECORDED_TIMEOUT_S
    ) -> tuple[tuple[Detection, ...], tuple[str, ...]]:
        """Return the objects of one frame, and the conditions that held.

        Args:
            image: ``HxWx3`` uint8 RGB, the fused picture.
            aligned: The pair that it was fused from.
            timeout_s: Limit of the detector's time in seconds.
        """
        if not self.active:
            return (), ()
        try:
            found = self._find(image, aligned, timeout_s)
        except CallTimeoutError:
            path = self._detector.path
            self._count_failure(f"{path}: no result within {timeout_s:g} s; choose a faster one")
            return (), (TIMED_OUT,)
        except Exception as error:  # noqa: BLE001 - a frame without boxes is still a frame
            self._count_failure(f"{type(error).__name__}: {error}")
            return (), (FAILED,)
        self._counts.update(detection.label for detection in found)
        return found, ()

    def predict(self, aligned: AlignedPair) -> tuple[Detection, ...]:
        """Return where the objects of the last frame are now, for a frame without the detector.

        Without tracks there are none.

        Args:
            aligned: The pair of the frame.
        """
        if not (self.active and self._tracker):
            return ()
        motion = self._motion.step(aligned, self._seen)
        return self._remembered(self._tracker.predict(aligned.stamp_ns, motion))

    def status(self) -> dict[str, Any]:
        """Return the detector, and detections, tracked objects and failures so far."""
        return {
            **self._detector.about,
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

    def _find(
        self, image: UInt8Image, aligned: AlignedPair, timeout_s: float
    ) -> tuple[Detection, ...]:
        least = self._threshold * (LOW_SCORE if self._tracker else 1.0)
        found: Sequence[Detection] = self._caller.call(
            lambda: self._detector.detect(image, aligned, score=least), timeout_s
        )
        if self._labels:
            found = [detection for detection in found if detection.label in self._labels]
        if self._tracker:
            motion = self._motion.step(aligned, self._seen)
            found = self._tracker.update(aligned.stamp_ns, found, motion)
        return self._remembered(found)

    def _remembered(self, found: Sequence[Detection]) -> tuple[Detection, ...]:
        """Return objects, and remember where they are."""
        self._seen = tuple(detection.box for detection in found)
        return tuple(found)

    def _count_failure(self, message: str) -> None:
        if self._messages.is_new(message):
            _log.warning("a frame goes without detections: %s", message)
        self._last_error = message
        self._failures += 1
