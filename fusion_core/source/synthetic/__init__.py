"""Synthetic scenes with ground truth: a small renderer in numpy and OpenCV."""

from fusion_core.source.synthetic.scene import SyntheticScene

__all__ = ["SyntheticScene"]
