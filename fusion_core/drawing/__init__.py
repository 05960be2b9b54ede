"""Detections drawn into pictures, the same wherever they are shown."""

from fusion_core.drawing.overlay import caption, draw_detections, label_colour

__all__ = ["caption", "draw_detections", "label_colour"]
