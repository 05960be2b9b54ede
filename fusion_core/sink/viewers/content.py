"""What viewers show of a result, the same in each of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.transport.result_header import ResultHeader, result_header
from fusion_core.types import Detection, FloatImage, FusedFrame, UInt8Image

PICTURES: Final = ("visible", "thermal", "thermal_source", "fused")
"""Names of the pictures; all but ``thermal_source`` lie on the visible camera's pixels."""

_JPEG_QUALITY: Final = 90
_DARK_PERCENT, _BRIGHT_PERCENT = 1, 99
_SAMPLED_EVERY = 4  # rows and columns, for the percentiles


@dataclass(frozen=True, slots=True)
class ViewerContent:
    """What is shown of one result.

    Attributes:
        header: Stamp of the camera image that led the pair, frame and camera.
        detections: Boxes in pixels of the visible camera's pictures.
        plots: Group -> name -> value: ``latency_ms`` per stage, ``drops`` so far by cause,
            ``registration``, ``quality``, and ``prior_visible`` and ``prior_thermal`` with the
            probability of each degradation. Only finite values.
        health: Conditions as one line, with the model where the prior picks it.
    """

    header: ResultHeader
    detections: tuple[Detection, ...]
    plots: Mapping[str, Mapping[str, float]]
    health: str

    @classmethod
    def of(cls, fused: FusedFrame) -> ViewerContent:
        """Return what is shown of a result, all but its pictures."""
        prior = fused.prior
        skew_ms = None if fused.skew_ns is None else fused.skew_ns / 1e6
        plots: dict[str, Mapping[str, float | None]] = {
            "latency_ms": fused.timings,
            "drops": fused.drops,
            "registration": {
                "confidence": fused.aligned.confidence,
                "residual_px": fused.aligned.residual_px,
                "skew_ms": skew_ms,
            },
            "quality": {"fused": fused.quality, "scene": prior.quality if prior else None},
            "prior_visible": prior.visible if prior else {},
            "prior_thermal": prior.thermal if prior else {},
        }
        health = ", ".join(fused.health) or "ok"
        return cls(
            result_header(fused),
            fused.detections,
            {group: _finite(values) for group, values in plots.items()},
            f"{health} (model {fused.model})" if fused.model else health,
        )


def picture(fused: FusedFrame, name: str) -> UInt8Image:
    """Return one of the ``PICTURES``: ``HxWx3`` RGB or ``HxW``, uint8; black where it is missing.

    ``thermal`` is what the network sees, after gain control and registration. ``thermal_source`` is
    the thermal camera's own picture; counts and temperatures are stretched over the gray levels.
    """
    if name == "fused":
        return fused.image
    if name == "visible" and fused.aligned.visible is not None:
        return fused.aligned.visible
    if name == "thermal" and fused.aligned.thermal is not None:
        return _gray(fused.aligned.thermal)
    if name == "thermal_source" and fused.pair.thermal is not None:
        return _stretched(fused.pair.thermal.image)
    return np.zeros(fused.image.shape[:2], np.uint8)


def jpeg(image: UInt8Image) -> bytes:
    """Return a picture, ``HxWx3`` RGB or ``HxW``, as a JPEG."""
    # OpenCV encodes BGR.
    stored = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    _, data = cv2.imencode(".jpg", stored, (cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY))
    return data.tobytes()


def _gray(luminance: FloatImage) -> UInt8Image:
    """Return luminance in [0, 1] as gray levels."""
    return np.asarray(cv2.convertScaleAbs(luminance, alpha=255.0), np.uint8)


def _stretched(image: NDArray[Any]) -> UInt8Image:
    """Return an image of any depth in 8 bits; values that are no numbers are black."""
    if image.dtype == np.uint8:
        return image
    sample = image[::_SAMPLED_EVERY, ::_SAMPLED_EVERY]
    sample = sample[np.isfinite(sample)]
    if not sample.size:
        return np.zeros(image.shape, np.uint8)
    low, high = np.percentile(sample, (_DARK_PERCENT, _BRIGHT_PERCENT))
    values = np.nan_to_num(image.astype(np.float32), nan=low, posinf=high, neginf=low)
    levels = (values - low) * (255.0 / max(float(high - low), 1e-9))
    return np.asarray(np.clip(levels, 0, 255), np.uint8)


def _finite(values: Mapping[str, float | None]) -> dict[str, float]:
    numbers = {name: value for name, value in values.items() if value is not None}
    return {name: float(value) for name, value in numbers.items() if math.isfinite(value)}
