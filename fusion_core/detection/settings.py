"""Settings of the detection room; the configuration holds them as its block ``detection``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

FormName = Literal[
    "auto",
    "yolov5",
    "yolov8",
    "yolox",
    "end2end",
    "efficient_nms",
    "rtdetr",
    "queries",
    "detr",
    "rfdetr",
]


@dataclass(frozen=True)
class DetectionConfig:
    """What is taken from the detector, and how its boxes are followed."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    score_threshold: Annotated[
        float, Field(ge=0, le=1, description="Least score of a detection; 0: the model's own.")
    ] = 0.0
    iou_threshold: Annotated[
        float,
        Field(
            ge=0, le=1, description="Overlap (IoU) above which boxes are one; 0: the model's own."
        ),
    ] = 0.0
    labels: Annotated[
        str, Field(description="Classes to keep, separated by commas; empty: all of the model's.")
    ] = ""
    decoder: Annotated[
        FormName, Field(description="OutputFormat of the model's outputs; auto: recognised.")
    ] = "auto"
    track: Annotated[bool, Field(description="Give objects an identity across frames.")] = True
    track_keep_s: Annotated[
        float,
        Field(ge=0, le=60, description="How long an object may stay unseen and keep its identity."),
    ] = 1.0
