"""Pairs with a true target, made from single sharp, well-exposed pictures."""

from fusion_lab.data.making.examples import MadeExamples, SharpPicture, read_sharp_pictures
from fusion_lab.data.making.exposure import ExposureRanges, expose, exposure_pair
from fusion_lab.data.making.focus import FocusRanges, defocus, focus_pair
from fusion_lab.data.making.pair import MadePair

__all__ = [
    "ExposureRanges",
    "FocusRanges",
    "MadeExamples",
    "MadePair",
    "SharpPicture",
    "defocus",
    "expose",
    "exposure_pair",
    "focus_pair",
    "read_sharp_pictures",
]
