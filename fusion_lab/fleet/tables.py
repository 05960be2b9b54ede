"""The columns of the tables of frames and of detections."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import pyarrow as pa

from fusion_core.priors.kinds import THERMAL_KINDS, VISIBLE_KINDS
from fusion_core.sink.jsonl import to_record
from fusion_core.types import FusedFrame

STAGES: Final = (
    "bracket",
    "thermal",
    "registration",
    "prior",
    "mask",
    "recall",
    "fusion",
    "network",
    "detection",
    "total",
)

_DROP = pa.struct({"stamp_ns": pa.int64(), "stream": pa.string(), "cause": pa.string()})
_FRAMES: Final = pa.schema(
    {
        "recording": pa.string(),
        "frame": pa.int64(),
        "stamp_ns": pa.int64(),
        "skew_ns": pa.int64(),
        "model": pa.string(),
        "quality": pa.float32(),
        "detections": pa.int32(),
        "registration_confidence": pa.float32(),
        "registration_residual_px": pa.float32(),
        "recalled_share": pa.float32(),
        "recalled_age_s": pa.float32(),
        "health": pa.list_(pa.string()),
        "dropped": pa.list_(_DROP),
        "dropped_unlisted": pa.int64(),
        "prior_provider": pa.string(),
        "prior_scene": pa.int64(),
        "prior_age_ns": pa.int64(),
        "prior_quality": pa.float32(),
        **{f"visible_{kind}": pa.float32() for kind in VISIBLE_KINDS},
        **{f"thermal_{kind}": pa.float32() for kind in THERMAL_KINDS},
        **{f"{stage}_ms": pa.float32() for stage in STAGES},
    }
)
_DETECTIONS: Final = pa.schema(
    {
        "recording": pa.string(),
        "frame": pa.int64(),
        "stamp_ns": pa.int64(),
        "label": pa.string(),
        "score": pa.float32(),
        "x": pa.float32(),
        "y": pa.float32(),
        "width": pa.float32(),
        "height": pa.float32(),
        "track_id": pa.int64(),
        "temperature": pa.float32(),
    }
)
SCHEMAS: Final[Mapping[str, pa.Schema]] = {"frames": _FRAMES, "detections": _DETECTIONS}
"""Columns of each table by its name; the file is ``NAME.parquet``.

``frames``: one row per fused frame; probabilities of the prior are in [0, 1]. ``detections``: one
row per detection, its box in pixels of the fused image, its mean temperature in degrees Celsius.
What is missing is null.
"""


def frame_row(recording: str, fused: FusedFrame) -> dict[str, Any]:
    """Return the row of a result; columns that are not in it are null."""
    record = to_record(fused)
    prior: Mapping[str, Any] = record["prior"] or {}
    recalled: Mapping[str, Any] = record["recalled"] or {}
    chances = {
        f"{modality}_{kind}": value
        for modality in ("visible", "thermal")
        for kind, value in prior.get(modality, {}).items()
    }
    return {
        "recording": recording,
        **{name: record[name] for name in ("frame", "stamp_ns", "skew_ns", "health", "dropped")},
        "dropped_unlisted": record["dropped_unlisted"],
        "model": fused.model or None,
        "quality": fused.quality,
        "detections": len(fused.detections),
        "registration_confidence": record["registration"]["confidence"],
        "registration_residual_px": record["registration"]["residual_px"],
        "recalled_share": recalled.get("share"),
        "recalled_age_s": recalled.get("age_s"),
        "prior_provider": prior.get("provider"),
        "prior_scene": prior.get("scene_id"),
        "prior_age_ns": prior.get("age_ns"),
        "prior_quality": prior.get("quality"),
        **chances,
        **{f"{stage}_ms": value for stage, value in record["latency_ms"].items()},
    }


def detection_rows(recording: str, fused: FusedFrame) -> Iterator[dict[str, Any]]:
    """Yield the rows of a result's detections."""
    for found in to_record(fused)["detections"]:
        x, y, width, height = found.pop("box")
        box = {"x": x, "y": y, "width": width, "height": height}
        place = {"recording": recording, "frame": fused.frame, "stamp_ns": int(fused.stamp_ns)}
        yield {**place, **found, **box}
