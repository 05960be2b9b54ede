"""What a report keeps of a run of unknown length, in bounded memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from fusion_core.drawing import draw_detections, draw_shares
from fusion_core.types import Frame, FusedFrame, UInt8Image

BUCKETS = 600
SAMPLES = 8
_EVENT_SAMPLES = 4
_PICTURE_WIDTH = 640
_BINS_PER_DECADE, _LEAST_MS, _DECADES = 20, 0.01, 6


@dataclass(slots=True)
class TimelineBucket:
    """Sums over some successive results.

    Attributes:
        start_ns: Capture time of its first frame in nanoseconds.
        frames: Frames in it.
        stages: Stage -> (sum, maximum) of milliseconds.
        skews: Number, sum and maximum of the magnitude of the skew in milliseconds.
        reused: Results for which a frame of the slower stream was used again.
        drops: Frames dropped up to its end, by cause.
        health: Conditions that held in it.
        qualities: Number and sum of the quality scores.
        slots: Memory slot -> updates.
        detections: Label -> detections.
        residuals: Number and sum of the measured misalignments in pixels.
        confidence: Sum of the confidences of the registration.
    """

    start_ns: int
    frames: int = 1
    stages: dict[str, tuple[float, float]] = field(default_factory=dict)
    skews: tuple[int, float, float] = (0, 0.0, 0.0)
    reused: int = 0
    drops: Mapping[str, int] = field(default_factory=dict)
    health: frozenset[str] = frozenset()
    qualities: tuple[int, float] = (0, 0.0)
    slots: Counter[int] = field(default_factory=Counter)
    detections: Counter[str] = field(default_factory=Counter)
    residuals: tuple[int, float] = (0, 0.0)
    confidence: float = 0.0

    @classmethod
    def of(cls, fused: FusedFrame) -> TimelineBucket:
        """Return the bucket of a single result."""
        skew = None if fused.skew_ns is None else abs(fused.skew_ns) / 1e6
        residual = fused.aligned.residual_px
        return cls(
            fused.stamp_ns,
            stages={stage: (value, value) for stage, value in fused.timings.items()},
            skews=(0, 0.0, 0.0) if skew is None else (1, skew, skew),
            reused=int(fused.pair.reused),
            drops=dict(fused.drops),
            health=frozenset(fused.health),
            qualities=(0, 0.0) if fused.quality is None else (1, float(fused.quality)),
            slots=Counter() if fused.memory_slot is None else Counter({fused.memory_slot: 1}),
            detections=Counter(found.label for found in fused.detections),
            residuals=(0, 0.0) if residual is None else (1, float(residual)),
            confidence=float(fused.aligned.confidence),
        )

    def merge(self, later: TimelineBucket) -> None:
        """Add the sums of the bucket that follows."""
        self.frames += later.frames
        for stage, (total, peak) in later.stages.items():
            own = self.stages.get(stage, (0.0, 0.0))
            self.stages[stage] = (own[0] + total, max(own[1], peak))
        own_skews, other = self.skews, later.skews
        self.skews = (
            own_skews[0] + other[0],
            own_skews[1] + other[1],
            max(own_skews[2], other[2]),
        )
        self.reused += later.reused
        self.drops = later.drops
        self.health |= later.health
        self.qualities = (
            self.qualities[0] + later.qualities[0],
            self.qualities[1] + later.qualities[1],
        )
        self.slots.update(later.slots)
        self.detections.update(later.detections)
        own, more = self.residuals, later.residuals
        self.residuals = (own[0] + more[0], own[1] + more[1])
        self.confidence += later.confidence


class Timeline:
    """The whole run in at most ``BUCKETS`` buckets: when they are full, neighbours are merged.

    Attributes:
        buckets: In order of time.
        histograms: Stage -> number of the bin -> results.
        conditions: Condition -> results for which it held.
    """

    def __init__(self) -> None:
        self.buckets: list[TimelineBucket] = []
        self.histograms: dict[str, Counter[int]] = {}
        self.conditions: Counter[str] = Counter()
        self._per_bucket = 1

    def record_result(self, fused: FusedFrame) -> None:
        """Add one result."""
        for stage, value in fused.timings.items():
            self.histograms.setdefault(stage, Counter())[_bin(value)] += 1
        self.conditions.update(set(fused.health))
        bucket = TimelineBucket.of(fused)
        if self.buckets and self.buckets[-1].frames < self._per_bucket:
            self.buckets[-1].merge(bucket)
            return
        if len(self.buckets) == BUCKETS:
            for first, second in zip(self.buckets[::2], self.buckets[1::2], strict=True):
                first.merge(second)
            del self.buckets[1::2]
            self._per_bucket *= 2
        self.buckets.append(bucket)


def _bin(value_ms: float) -> int:
    """Return the number of the logarithmic histogram bin of a latency."""
    place = np.log10(max(value_ms, _LEAST_MS) / _LEAST_MS) * _BINS_PER_DECADE
    return int(min(place, _DECADES * _BINS_PER_DECADE - 1))


def bin_edges() -> Sequence[float]:
    """Return the edges of the histogram bins in milliseconds."""
    steps = np.arange(_DECADES * _BINS_PER_DECADE + 1)
    return [float(edge) for edge in _LEAST_MS * 10 ** (steps / _BINS_PER_DECADE)]


@dataclass(frozen=True, slots=True)
class ReportSample:
    """The pictures of one result, reduced to the width of the page.

    Attributes:
        frame: Number of the result.
        stamp_ns: Its capture time in nanoseconds.
        health: Conditions that held.
        pictures: Caption -> gray or RGB uint8 picture.
    """

    frame: int
    stamp_ns: int
    health: tuple[str, ...]
    pictures: Mapping[str, UInt8Image]

    @classmethod
    def of(cls, fused: FusedFrame) -> ReportSample:
        """Copy sources, registered thermal image and result."""
        pictures = {}
        if fused.pair.visible is not None:
            pictures["visible"] = _scaled(fused.pair.visible.image)
        if fused.pair.thermal is not None:
            pictures["thermal, stretched"] = _scaled(_stretched(fused.pair.thermal))
        if fused.aligned.thermal is not None:
            pictures["thermal, registered"] = _scaled(_gray(fused.aligned.thermal))
        pictures["fused"] = _scaled(draw_detections(fused.image, fused.detections))
        if fused.shares is not None:
            size = fused.image.shape[1], fused.image.shape[0]
            drawn = _scaled(draw_shares(fused.shares, size))
            pictures["of the visible (blue), of the thermal (orange)"] = drawn
        return cls(fused.frame, fused.stamp_ns, fused.health, pictures)


class SampleSelector:
    """Selects samples spread over the run, and the first sample of each health condition."""

    def __init__(self) -> None:
        self._regular: list[ReportSample] = []
        self._events: list[ReportSample] = []
        self._seen: set[str] = set()
        self._stride, self._count = 1, 0

    def consider_result(self, fused: FusedFrame) -> None:
        """Keep a result's pictures when it is due or the first one of a condition."""
        unseen = set(fused.health) - self._seen
        due = self._count % self._stride == 0
        self._count += 1
        event = bool(unseen) and len(self._events) < _EVENT_SAMPLES
        self._seen |= unseen
        if not due and not event:
            return
        sample = ReportSample.of(fused)
        if event:
            self._events.append(sample)
        elif due:
            self._regular.append(sample)
            if len(self._regular) >= 2 * SAMPLES:
                self._regular = self._regular[::2]
                self._stride *= 2

    def samples(self) -> tuple[ReportSample, ...]:
        """Return at most ``SAMPLES`` samples in order of time."""
        places = SAMPLES - len(self._events)
        count = min(places, len(self._regular))
        picks = np.linspace(0, len(self._regular) - 1, count).round().astype(int)
        chosen = [self._regular[index] for index in picks] + self._events
        return tuple(sorted(chosen, key=lambda sample: sample.frame))


def _scaled(image: UInt8Image) -> UInt8Image:
    """Return a copy of a picture, reduced to at most the width kept for the page."""
    height, width = image.shape[:2]
    if width <= _PICTURE_WIDTH:
        return np.array(image, np.uint8)
    size = (_PICTURE_WIDTH, max(1, round(height * _PICTURE_WIDTH / width)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _gray(luminance: np.ndarray) -> UInt8Image:
    """Return [0, 1] luminance as 8-bit gray."""
    return np.asarray(np.clip(luminance, 0, 1) * 255 + 0.5, np.uint8)


def _stretched(frame: Frame) -> UInt8Image:
    """Return a thermal frame as 8-bit, from its 1st to its 99.5th percentile."""
    if frame.image.ndim == 3:
        return np.asarray(frame.image, np.uint8)
    values = np.nan_to_num(frame.image.astype(np.float32))
    low, high = np.percentile(values, (1, 99.5))
    return _gray((values - low) / max(float(high - low), 1e-6))
