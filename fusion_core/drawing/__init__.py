"""Detections and shares of sources as pictures, the same wherever they are shown."""

from fusion_core.drawing.overlay import caption, draw_detections, label_colour
from fusion_core.drawing.shares import SOURCE_COLOURS, draw_shares

__all__ = ["SOURCE_COLOURS", "caption", "draw_detections", "draw_shares", "label_colour"]
