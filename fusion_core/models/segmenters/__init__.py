"""Networks that segment what prompts describe, behind one interface."""

from fusion_core.models.segmenters.embedded import ObjectSegmenter, ShapeSegmenter
from fusion_core.models.segmenters.protocol import Segmenter
from fusion_core.models.segmenters.sam import SamSegmenter

__all__ = ["ObjectSegmenter", "SamSegmenter", "Segmenter", "ShapeSegmenter"]
