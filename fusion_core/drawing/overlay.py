"""Boxes with their captions."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import cv2
import numpy as np

from fusion_core.drawing.labels import place_labels
from fusion_core.types import Detection, UInt8Image

# Okabe and Ito's palette, distinguishable with any colour vision; RGB.
_COLOURS = ((86, 180, 233), (230, 159, 0), (0, 158, 115), (240, 228, 66), (213, 94, 0))
_FIXED = {"person": 1, "vehicle": 0, "cycle": 2, "car": 0, "truck": 0, "bus": 0, "bicycle": 2}
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_REFERENCE_PX = 640  # width of a picture whose captions have 0.4 of the font's size


def caption(detection: Detection) -> str:
    """Return label, identity, score and temperature as one short line."""
    identity = "" if detection.track_id is None else f" #{detection.track_id}"
    heat = "" if detection.temperature is None else f" {detection.temperature:.1f}C"
    return f"{detection.label}{identity} {detection.score:.2f}{heat}"


def draw_detections(image: UInt8Image, detections: Sequence[Detection]) -> UInt8Image:
    """Return a copy of a picture with boxes and captions; the picture itself without any.

    Captions do not overlap: detections of higher score are placed first, and a caption without
    room is left out. Its box is always drawn.

    Args:
        image: ``HxWx3`` uint8 RGB.
        detections: What to draw; higher scores are drawn on top.
    """
    if not detections:
        return image
    canvas = np.array(image, np.uint8)
    height, width = image.shape[:2]
    line = max(1, round(width / _REFERENCE_PX))
    ordered = sorted(detections, key=lambda detection: -detection.score)
    for detection in reversed(ordered):
        x, y, box_width, box_height = detection.box
        # The last column and row that the box covers, not the first ones beside it.
        last = (round(x + box_width) - 1, round(y + box_height) - 1)
        cv2.rectangle(canvas, (round(x), round(y)), last, label_colour(detection.label), line)
    scale = max(0.35, 0.4 * width / _REFERENCE_PX)
    sizes, bases = zip(*(_text_size(caption(found), scale) for found in ordered), strict=True)
    corners = place_labels([found.box for found in ordered], sizes, (width, height))
    for detection, size, base, corner in zip(ordered, sizes, bases, corners, strict=True):
        if corner is not None:
            _draw_label(canvas, detection, (*corner, *size), base, scale)
    return canvas


def label_colour(label: str) -> tuple[int, int, int]:
    """Return the colour of a label, the same in every picture and every run."""
    return _COLOURS[_FIXED.get(label, zlib.crc32(label.encode())) % len(_COLOURS)]


def _text_size(text: str, scale: float) -> tuple[tuple[int, int], int]:
    """Return width and height of a label in pixels, and the part below the base line."""
    (width, height), base = cv2.getTextSize(text, _FONT, scale, 1)
    return (width, height + base), base


def _draw_label(
    canvas: UInt8Image,
    detection: Detection,
    area: tuple[int, int, int, int],
    base: int,
    scale: float,
) -> None:
    """Write dark on the label's colour; ``area`` is x, y, width and height in pixels."""
    x, y, width, height = area
    colour, last = label_colour(detection.label), (x + width - 1, y + height - 1)
    cv2.rectangle(canvas, (x, y), last, colour, cv2.FILLED)
    origin = (x, y + height - base)
    cv2.putText(canvas, caption(detection), origin, _FONT, scale, (0, 0, 0), 1, cv2.LINE_AA)
