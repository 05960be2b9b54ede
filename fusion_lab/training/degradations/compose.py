"""Degradations put together in the order in which light meets them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from fusion_core.errors import UsageError
from fusion_core.priors.kinds import KINDS, kinds_of
from fusion_core.types import FloatImage, Modality
from fusion_lab.training.degradations.depth import DepthProvider, GroundDepth
from fusion_lab.training.degradations.exposure import LowContrast, LowLight, OverExposure
from fusion_lab.training.degradations.medium import Haze, Rain, Smoke, Snow
from fusion_lab.training.degradations.operation import Operation
from fusion_lab.training.degradations.optics import (
    Defocus,
    Downsampling,
    GaussianBlur,
    MotionBlur,
)
from fusion_lab.training.degradations.sensor import Jpeg, Noise, Stripes

# Scene, medium, exposure, optics, sensor, codec.
ORDER = (
    "haze",
    "smoke",
    "rain",
    "snow",
    "low_light",
    "over_exposure",
    "low_contrast",
    "defocus",
    "gaussian_blur",
    "motion_blur",
    "downsampling",
    "noise",
    "stripes",
    "jpeg",
)
# Of each group a mixture holds at most one: together they contradict or hide each other.
_EXCLUSIVE = (
    {"haze", "smoke"},
    {"rain", "snow"},
    {"low_light", "over_exposure", "low_contrast"},
    {"defocus", "gaussian_blur", "motion_blur", "downsampling"},
)
_LOWEST = 0.2


@dataclass(frozen=True, slots=True)
class Degraded:
    """One degraded picture.

    Attributes:
        image: Shape of the input, float32 in [0, 1].
        labels: Degradation kind -> severity in (0, 1]; ``{"clean": 1.0}`` when there is none.
    """

    image: FloatImage
    labels: Mapping[str, float]


class Degrader:
    """Degrade a picture, or every frame of a stream, in the same way.

    Rain falls, snow and smoke drift, exposure swings and noise is new in every frame; everything
    else stays. The same arguments give the same pixels.

    Args:
        severities: Degradation kind -> severity in [0, 1]; 0 and ``clean`` change nothing.
        seed: Seed of all parameters.
        depth: How far things are, for haze, rain and snow; a stand-in when None.

    Raises:
        UsageError: A kind is unknown or a severity out of range.
    """

    def __init__(
        self, severities: Mapping[str, float], seed: int, depth: DepthProvider | None = None
    ) -> None:
        for kind, severity in severities.items():
            if kind not in KINDS:
                raise UsageError(f"degradation {kind!r}: unknown; known: {', '.join(KINDS)}")
            if not 0 <= severity <= 1:
                raise UsageError(f"severity of {kind} = {severity}: must be within [0, 1]")
        depth = depth or GroundDepth()
        chosen = {kind: float(severities[kind]) for kind in ORDER if severities.get(kind, 0) > 0}
        self._operations = [
            make_operation(kind, severity, np.random.default_rng((seed, KINDS.index(kind))), depth)
            for kind, severity in chosen.items()
        ]
        self.labels: Mapping[str, float] = MappingProxyType(chosen or {"clean": 1.0})

    def apply(self, picture: FloatImage, seconds: float = 0.0) -> Degraded:
        """Degrade one picture.

        Args:
            picture: ``HxWx3`` RGB or ``HxW``, float32 in [0, 1].
            seconds: Time since the start of the stream.
        """
        image = np.asarray(picture, np.float32)
        for operation in self._operations:
            image = np.clip(operation(image, seconds), 0, 1).astype(np.float32, copy=False)
        return Degraded(image, self.labels)


def make_operation(
    kind: str, severity: float, rng: np.random.Generator, depth: DepthProvider
) -> Operation:
    """Return one degradation with its parameters drawn."""
    if kind == "haze":
        return Haze(severity, rng, depth)
    if kind == "rain":
        return Rain(severity, rng, depth)
    if kind == "snow":
        return Snow(severity, rng, depth)
    return _PLAIN[kind](severity, rng)


_PLAIN: dict[str, type[Operation]] = {
    "smoke": Smoke,
    "low_light": LowLight,
    "over_exposure": OverExposure,
    "low_contrast": LowContrast,
    "defocus": Defocus,
    "gaussian_blur": GaussianBlur,
    "motion_blur": MotionBlur,
    "downsampling": Downsampling,
    "noise": Noise,
    "stripes": Stripes,
    "jpeg": Jpeg,
}


def sample_mixture(
    rng: np.random.Generator,
    modality: Modality,
    clean_share: float = 0.1,
    largest: int = 3,
    *,
    kinds: Sequence[str] = (),
    favoured: Sequence[str] = (),
    favour: float = 0.0,
) -> dict[str, float]:
    """Draw 1 to ``largest`` degradations of a modality with severities in [0.2, 1].

    Args:
        rng: Source of randomness.
        modality: Whose kinds to draw from.
        clean_share: Probability of none.
        largest: Most degradations at once; exclusive ones may make it fewer.
        kinds: Only these; empty: all of the modality.
        favoured: Kinds of which one comes first with probability ``favour``.
        favour: See ``favoured``.
    """
    if rng.random() < clean_share:
        return {}
    count = int(rng.integers(1, largest + 1))
    chosen: list[str] = []
    candidates: list[str] = rng.permutation(kinds or kinds_of(modality)[1:]).tolist()
    if favour and rng.random() < favour:
        first = next((kind for kind in candidates if kind in favoured), candidates[0])
        candidates = [first, *(kind for kind in candidates if kind != first)]
    for kind in candidates:
        rivals = set().union(*(group for group in _EXCLUSIVE if kind in group))
        if len(chosen) < count and not rivals & set(chosen):
            chosen.append(kind)
    return {kind: round(float(rng.uniform(_LOWEST, 1)), 3) for kind in chosen}
