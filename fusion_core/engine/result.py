"""What fusing one pair gives."""

from __future__ import annotations

from dataclasses import dataclass

from fusion_core.types import UInt8Image


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
        text: The text in force, empty where nothing is said; None for a network that reads none.
    """

    image: UInt8Image
    quality: float | None = None
    memory_slot: int | None = None
    network_ms: float = 0.0
    model: str = ""
    text: str | None = None
