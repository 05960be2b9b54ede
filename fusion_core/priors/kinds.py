"""Names of the degradations, in the order in which they are reported."""

from __future__ import annotations

from fusion_core.types import Modality

KINDS = (
    "clean",
    "haze",
    "rain",
    "snow",
    "low_light",
    "over_exposure",
    "noise",
    "gaussian_blur",
    "motion_blur",
    "downsampling",
    "jpeg",
    "low_contrast",
    "stripes",
    "defocus",
    "smoke",
)
VISIBLE_KINDS = tuple(kind for kind in KINDS if kind != "stripes")
THERMAL_KINDS = (
    "clean",
    "noise",
    "gaussian_blur",
    "motion_blur",
    "downsampling",
    "jpeg",
    "low_contrast",
    "stripes",
    "defocus",
)


def kinds_of(modality: Modality) -> tuple[str, ...]:
    """Return the degradations that a picture of this modality can have, ``clean`` first."""
    return VISIBLE_KINDS if modality == "visible" else THERMAL_KINDS
