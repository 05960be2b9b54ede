"""Image fusion metrics on 8-bit gray images, exact to their published definitions."""

from fusion_lab.metrics.images import to_gray
from fusion_lab.metrics.registry import (
    HEADLINE,
    METRICS,
    TARGET_METRICS,
    Metric,
    compute_all,
    select_metrics,
)
from fusion_lab.metrics.temporal import PerStream, TemporalMeter, TemporalResult
from fusion_lab.metrics.video import VideoMeter, VideoResult

__all__ = [
    "HEADLINE",
    "METRICS",
    "TARGET_METRICS",
    "Metric",
    "PerStream",
    "TemporalMeter",
    "TemporalResult",
    "VideoMeter",
    "VideoResult",
    "compute_all",
    "select_metrics",
    "to_gray",
]
