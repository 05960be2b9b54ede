"""Pairs with a true target, made from single sharp pictures; and pairs of untrained kinds."""

from fusion_lab.data.making.examples import MadeExamples, SharpPicture, read_sharp_pictures
from fusion_lab.data.making.exposure import ExposureRanges, expose, exposure_pair
from fusion_lab.data.making.focus import FocusRanges, defocus, focus_pair
from fusion_lab.data.making.pair import MadePair
from fusion_lab.data.making.unseen import medical_pair, satellite_pair

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
    "medical_pair",
    "read_sharp_pictures",
    "satellite_pair",
]
