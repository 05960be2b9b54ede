"""The interface of every provider of scene priors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from fusion_core.errors import FusionError
from fusion_core.types import AlignedPair, FloatImage, ScenePrior, UInt8Image


@dataclass(frozen=True, slots=True)
class Assessment:
    """What a provider finds in one pair.

    Attributes:
        visible: Degradation kind -> probability in [0, 1]; several may be likely at once. Empty
            when the picture is missing.
        thermal: The same for the thermal picture and its kinds.
        tokens: ``SxC`` float32 semantic tokens, C is the provider's ``dim``.
        quality: Quality of the pictures in [0, 1].
        disputed: What a second provider sees otherwise, as ``visible rain``.
    """

    visible: Mapping[str, float]
    thermal: Mapping[str, float]
    tokens: FloatImage
    quality: float
    disputed: tuple[str, ...] = ()


class PriorProvider(Protocol):
    """Assesses what degrades a pair; frozen, and used from one thread at a time.

    Attributes:
        name: Its name in the configuration.
        dim: Width of its tokens; consumers must read it here.
    """

    name: str

    @property
    def dim(self) -> int:
        """Width of the tokens."""
        ...

    def assess(self, visible: UInt8Image | None, thermal: FloatImage | None) -> Assessment:
        """Assess one pair.

        Args:
            visible: ``HxWx3`` uint8 RGB, or None when missing.
            thermal: ``HxW`` float32 in [0, 1], or None when missing.
        """
        ...


def assess_pair(provider: PriorProvider, pair: AlignedPair, scene_id: int = 0) -> ScenePrior:
    """Return a provider's assessment of a pair as the prior of its scene.

    Raises:
        FusionError: It holds values that are not finite, which would spread into every picture.
    """
    found = provider.assess(pair.visible, pair.thermal)
    numbers = [*found.visible.values(), *found.thermal.values(), found.quality]
    if not (np.isfinite(numbers).all() and np.isfinite(found.tokens).all()):
        raise FusionError("gives values that are not finite; choose another prior or weights")
    return ScenePrior(
        scene_id=scene_id,
        stamp_ns=pair.stamp_ns,
        provider=provider.name,
        visible=found.visible,
        thermal=found.thermal,
        # Networks round differently on another memory layout, and not all ways here keep it.
        tokens=np.ascontiguousarray(found.tokens),
        quality=found.quality,
        disputed=found.disputed,
    )
