"""Networks that segment what prompts describe, behind one interface."""

from fusion_core.models.segmenters.embedded import EmbeddedSegmenter
from fusion_core.models.segmenters.protocol import PassThroughSegmenter, Segmenter
from fusion_core.models.segmenters.sam import SamSegmenter

__all__ = ["EmbeddedSegmenter", "PassThroughSegmenter", "SamSegmenter", "Segmenter"]
