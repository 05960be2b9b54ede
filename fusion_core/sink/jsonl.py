"""JSON lines: one object per fused frame."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from fusion_core.errors import SinkError
from fusion_core.runtime.files import flush_folder, resolve_file
from fusion_core.sink.base import Sink, SinkKind, make_folder
from fusion_core.types import Alarm, Drop, FusedFrame, ObjectHeat, Recalled, ScenePrior


class JsonlSink(Sink):
    """Write detections, prior, registration, latencies, health and drops, one line per frame.

    A detection is ``predicted`` where the detector did not look at this frame;
    ``detections_age_ns`` tells how long ago the frame was taken that it saw, 0: it is this one.

    ``dropped`` lists the frames dropped since the line before; ``dropped_unlisted`` counts those
    that the bounded list had no room for. Each line is handed to the system before the next one is
    begun, and flushed to the disk at the end; the file never ends in half a line.

    Args:
        path: File to write; an old one is replaced.

    Raises:
        SinkError: It cannot be created.
    """

    def __init__(self, path: Path) -> None:
        self.path: Path = path
        self._size = 0
        make_folder(path.parent)
        try:
            resolve_file(path)
            self._file = path.open("wb", buffering=0)
        except OSError as error:
            raise self._failed(error) from None

    def write(self, fused: FusedFrame) -> None:
        """Add one line."""
        line = (json.dumps(to_record(fused), allow_nan=False) + "\n").encode()
        try:
            written = 0
            while written < len(line):
                written += self._file.write(line[written:])
        except OSError as error:
            with suppress(OSError):
                self._file.truncate(self._size)
            raise self._failed(error) from None
        self._size += len(line)

    def close(self) -> None:
        """Flush and close the file."""
        if self._file.closed:
            return
        try:
            with self._file:
                os.fsync(self._file.fileno())
            flush_folder(self.path.parent)
        except OSError as error:
            raise self._failed(error) from None

    def _failed(self, error: OSError) -> SinkError:
        return SinkError(f"{self.path}: cannot be written ({error.strerror}); choose another place")


def to_record(fused: FusedFrame) -> dict[str, Any]:
    """Return the plain values of one line; numbers that JSON lacks (NaN, infinity) become null."""
    # The model is named where it can change from line to line.
    picked = {"model": fused.model} if fused.model else {}
    return {
        "frame": fused.frame,
        "stamp_ns": int(fused.stamp_ns),
        "skew_ns": None if fused.skew_ns is None else int(fused.skew_ns),
        "detections": [
            {
                "label": found.label,
                "score": _number(found.score),
                "box": [_number(value) for value in found.box],
                "track_id": None if found.track_id is None else int(found.track_id),
                "temperature": _number(found.temperature),
                "predicted": found.predicted,
                "heat": _heat(found.heat),
            }
            for found in fused.detections
        ],
        "detections_age_ns": _age(fused.detected_ns, fused.stamp_ns),
        "alarms": [_alarm(alarm) for alarm in fused.alarms],
        "prior": _prior(fused.prior, fused.stamp_ns),
        "registration": {
            "confidence": _number(fused.aligned.confidence),
            "residual_px": _number(fused.aligned.residual_px),
        },
        "recalled": _recalled(fused.recalled),
        "latency_ms": _numbers(fused.timings),
        "health": list(fused.health),
        "dropped": [_drop(drop) for drop in fused.recent_drops],
        "dropped_unlisted": fused.unlisted_drops,
        **picked,
        **({} if fused.text is None else {"text": fused.text}),
    }


def _heat(heat: ObjectHeat | None) -> dict[str, Any] | None:
    if heat is None:
        return None
    return {
        "mean": _number(heat.mean),
        "maximum": _number(heat.maximum),
        "percentile": _number(heat.percentile),
        "pixels": int(heat.pixels),
    }


def _alarm(alarm: Alarm) -> dict[str, Any]:
    return {
        "kind": alarm.kind,
        "track_id": alarm.track_id,
        "label": alarm.label,
        "temperature": _number(alarm.temperature),
        "limit": _number(alarm.limit),
        "since_ns": int(alarm.since_ns),
    }


def _prior(prior: ScenePrior | None, stamp_ns: int) -> dict[str, Any] | None:
    if prior is None:
        return None
    return {
        "provider": prior.provider,
        "scene_id": int(prior.scene_id),
        "age_ns": int(stamp_ns - prior.stamp_ns),
        "quality": _number(prior.quality),
        "visible": _numbers(prior.visible),
        "thermal": _numbers(prior.thermal),
        "disputed": list(prior.disputed),
    }


def _age(stamp_ns: int | None, now_ns: int) -> int | None:
    return None if stamp_ns is None else int(now_ns - stamp_ns)


def _recalled(recalled: Recalled | None) -> dict[str, Any] | None:
    if recalled is None:
        return None
    return {"share": _number(recalled.share), "age_s": _number(recalled.age_s)}


def _drop(drop: Drop) -> dict[str, Any]:
    stamp_ns = None if drop.stamp_ns is None else int(drop.stamp_ns)
    return {"stamp_ns": stamp_ns, "stream": drop.modality, "cause": drop.cause}


def _numbers(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: _number(value) for name, value in values.items()}


def _number(value: float | None) -> float | None:
    """Return a float with six digits, enough for every quantity here."""
    if value is None or not math.isfinite(value):
        return None
    return round(float(value), 6)


JSONL = SinkKind(open=lambda path, _overlay: JsonlSink(Path(path)), example="FILE.jsonl")
