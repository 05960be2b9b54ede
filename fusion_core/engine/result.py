"""What fusing one pair gives."""

from __future__ import annotations

from dataclasses import dataclass

from fusion_core.types import FloatImage, UInt8Image


@dataclass(frozen=True, slots=True)
class EngineResult:
    """What the network made of one pair.

    Attributes:
        image: ``HxWx3`` uint8 RGB.
        quality: No-reference quality score in [0, 1]; None when a missing side left nothing to
            fuse.
        memory_slot: Slot of the bank that this frame updated, or None.
        network_ms: Time in the network alone, in milliseconds.
        model: Name of the network where the scene picks one, else empty.
        shares: ``2xhxw`` float32 shares of the visible and the thermal picture, coarser than the
            image, where the network has them and ran in this process.
        text: The text in force, empty where nothing is said; None for a network that reads none.
        named: What that text names to be shown, from a server, which alone can tell; else None.
    """

    image: UInt8Image
    quality: float | None = None
    memory_slot: int | None = None
    network_ms: float = 0.0
    model: str = ""
    shares: FloatImage | None = None
    text: str | None = None
    named: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ExplainedPicture:
    """A fused picture, and which pictures it was made of.

    Attributes:
        image: ``HxWx3`` uint8 RGB.
        shares: ``NxHxW`` float32 in [0, 1], sum 1: share of each picture, as given, in each pixel;
            None where the network has no such shares.
        prompts: ``Nxhxw`` the same as the network's prompts have them, on the grid of its tokens.
    """

    image: UInt8Image
    shares: FloatImage | None = None
    prompts: FloatImage | None = None
