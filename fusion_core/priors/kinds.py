"""Names of the degradations, in the order in which they are reported."""

from __future__ import annotations

from collections.abc import Mapping

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


def veil_probability(visible: Mapping[str, float]) -> float:
    """Return how likely haze or smoke hides a scene.

    The two are mistaken for each other, and a picture shows one of them at most, so that their
    probabilities add up.

    Args:
        visible: Degradation kind -> probability; kinds that are missing count as 0.
    """
    return min(1.0, visible.get("haze", 0.0) + visible.get("smoke", 0.0))
