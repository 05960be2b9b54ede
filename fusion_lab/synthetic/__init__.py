"""Synthetic scenes with ground truth: a small renderer in numpy and OpenCV."""

from fusion_lab.synthetic.scene import SyntheticScene

__all__ = ["SyntheticScene"]
