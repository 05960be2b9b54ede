"""Settings of the detection module; the configuration holds them as its block ``detection``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from fusion_core.runtime.settings import Settings, SplitNames

OutputFormatName = Literal[
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

InputChoice = Literal["auto", "small", "large"]


@dataclass(frozen=True)
class DetectionConfig(Settings):
    """What is taken from the detector, and how its boxes are followed."""

    score_threshold: Annotated[
        float, Field(ge=0, le=1, description="Least score of a detection; 0: the model's own.")
    ] = 0.0
    labels: Annotated[
        tuple[str, ...],
        SplitNames,
        Field(description="Classes to keep, separated by commas; empty: all of the model's."),
    ] = ()
    output_format: Annotated[
        OutputFormatName, Field(description="Format of the model's outputs; auto: recognised.")
    ] = "auto"
    every: Annotated[
        Annotated[int, Field(ge=1, le=100)] | Literal["auto"],
        Field(
            description="Live: look at every Nth pair; auto: as many as the machine affords, beside"
            " the fusion. Tracks are predicted to the pairs between. Recordings: every pair."
        ),
    ] = "auto"
    input: Annotated[
        InputChoice,
        Field(
            description="How finely the shipped street detector sees: large finds smaller objects"
            " and takes 1.8 times as long; auto: large for pictures that small would reduce by a"
            " quarter or more. Other detectors have one input."
        ),
    ] = "auto"
    tiles: Annotated[
        int,
        Field(
            ge=1,
            le=8,
            description="Look also at so many parts in each row and column of the picture: finds"
            " small objects in large pictures; 2 takes five times as long. 1: the whole alone.",
        ),
    ] = 1
    track: Annotated[bool, Field(description="Give objects an identity across frames.")] = True
