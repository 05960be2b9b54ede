"""Boxes with their captions."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import cv2
import numpy as np

from fusion_core.types import Detection, UInt8Image

# Okabe and Ito's palette, told apart with any colour vision; RGB.
_COLOURS = ((86, 180, 233), (230, 159, 0), (0, 158, 115), (240, 228, 66), (213, 94, 0))
_KNOWN = {"person": 1, "vehicle": 0, "cycle": 2, "car": 0, "truck": 0, "bus": 0, "bicycle": 2}
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_REFERENCE_PX = 640  # width of a picture whose captions have 0.4 of the font's size


def caption(detection: Detection) -> str:
    """Return label, identity, score and temperature as one short line."""
    identity = "" if detection.track_id is None else f" #{detection.track_id}"
    heat = "" if detection.temperature is None else f" {detection.temperature:.1f}C"
    return f"{detection.label}{identity} {detection.score:.2f}{heat}"


def draw_detections(image: UInt8Image, detections: Sequence[Detection]) -> UInt8Image:
    """Return a copy of a picture with boxes and captions; the picture itself without any.

    Args:
        image: ``HxWx3`` uint8 RGB.
        detections: What to draw; the surest lies on top.
    """
    if not detections:
        return image
    canvas = np.array(image, np.uint8)
    scale = max(0.35, 0.4 * image.shape[1] / _REFERENCE_PX)
    line = max(1, round(image.shape[1] / _REFERENCE_PX))
    for detection in sorted(detections, key=lambda found: found.score):
        colour = _colour(detection.label)
        x, y, width, height = detection.box
        corner = (round(x), round(y))
        # The last column and row that the box covers, not the first ones beside it.
        cv2.rectangle(canvas, corner, (round(x + width) - 1, round(y + height) - 1), colour, line)
        _label(canvas, caption(detection), corner, colour, scale)
    return canvas


def _colour(label: str) -> tuple[int, int, int]:
    """Return a colour that a label has in every picture and every run."""
    return _COLOURS[_KNOWN.get(label, zlib.crc32(label.encode())) % len(_COLOURS)]


def _label(
    canvas: UInt8Image,
    text: str,
    corner: tuple[int, int],
    colour: tuple[int, int, int],
    scale: float,
) -> None:
    """Write dark on colour above the box, inside it where there is no room above."""
    (width, height), base = cv2.getTextSize(text, _FONT, scale, 1)
    x = max(0, min(corner[0], canvas.shape[1] - width))
    y = corner[1] if corner[1] >= height + base else max(corner[1], 0) + height + base
    cv2.rectangle(canvas, (x, y - height - base), (x + width, y), colour, cv2.FILLED)
    cv2.putText(canvas, text, (x, y - base + 1), _FONT, scale, (0, 0, 0), 1, cv2.LINE_AA)
