"""What every prior provider does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from fusion_core.priors.settings import PriorsConfig
from fusion_core.types import AlignedPair, FloatImage, ScenePrior, UInt8Image

ProviderName = Literal["embedded", "clip", "blip2"]


@dataclass(frozen=True, slots=True)
class Assessment:
    """What a provider says about one pair.

    Attributes:
        visible: Degradation kind -> probability in [0, 1]; several may be likely at once. Empty
            when the picture is missing.
        thermal: The same for the thermal picture and its kinds.
        tokens: ``SxC`` float32 semantic tokens, C is the provider's ``dim``.
        quality: Quality of the pictures in [0, 1].
    """

    visible: Mapping[str, float]
    thermal: Mapping[str, float]
    tokens: FloatImage
    quality: float


class PriorProvider(Protocol):
    """Looks at a pair and says what degrades it; frozen, and used from one thread at a time.

    Attributes:
        name: Its name in the configuration.
        dim: Width of its tokens; consumers must take it from here.
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
    """Return what a provider says about a pair as the prior of its scene."""
    found = provider.assess(pair.visible, pair.thermal)
    return ScenePrior(
        scene_id=scene_id,
        stamp_ns=pair.stamp_ns,
        provider=provider.name,
        visible=found.visible,
        thermal=found.thermal,
        tokens=found.tokens,
        quality=found.quality,
    )


def open_provider(name: ProviderName, config: PriorsConfig, device: str) -> PriorProvider:
    """Return a provider with its weights loaded.

    Args:
        name: Which.
        config: Where weights lie and what is asked.
        device: ``cpu`` or ``cuda``, for the large ones; the embedded one stays on the CPU.

    Raises:
        MissingExtraError: The package that runs it is not installed.
        WeightsError: The weights are missing or torn.
    """
    if name == "embedded":
        from fusion_core.priors.embedded import EmbeddedProvider

        return EmbeddedProvider()
    if name == "clip":
        from fusion_core.priors.clip import ClipProvider

        return ClipProvider(config.weights, device)
    from fusion_core.priors.blip2 import Blip2Provider

    return Blip2Provider(config.weights, device, config.question)
