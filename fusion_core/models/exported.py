"""What an exported network states about itself: metadata of its ONNX file."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from pydantic import TypeAdapter, ValidationError

from fusion_core.errors import WeightsError
from fusion_core.memory.scores import NO_SCORES, parse_scores
from fusion_core.models.features import Features
from fusion_core.types import FloatImage

FORMAT: Final = "fusion-network"
VERSION: Final = "1"
ANY_SIZE: Final = "any"


@dataclass(frozen=True, slots=True, eq=False)
class ExportedCard:
    """What is known of an exported network.

    Attributes:
        model: Name of the network.
        features: What it takes and gives.
        grid: Height and width of its pictures are multiples of this.
        weights: ``weights_identity`` of the weights that it was made from.
        slots: ``NxD`` trained slots of the memory bank; ``0xD`` without one.
        scores: Quality scores of the pictures that the bank was trained on.
    """

    model: str
    features: Features
    grid: int
    weights: str
    slots: FloatImage
    scores: tuple[float, ...] = ()

    def to_metadata(self) -> dict[str, str]:
        """Return the card as lines of text."""
        features = dataclasses.asdict(self.features) | {"needs": sorted(self.features.needs)}
        return {
            "format": FORMAT,
            "version": VERSION,
            "model": self.model,
            "features": json.dumps(features, sort_keys=True),
            "grid": str(self.grid),
            "weights": self.weights,
            "slots_shape": json.dumps(self.slots.shape),
            "slots": base64.b64encode(self.slots.astype("<f4").tobytes()).decode(),
            "scores": json.dumps(self.scores),
        }

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], origin: str) -> ExportedCard:
        """Return the card of a file.

        Args:
            metadata: The file's.
            origin: Its path, for the error message.

        Raises:
            WeightsError: It is no exported network, or of another version.
        """
        for key, expected in (("format", FORMAT), ("version", VERSION)):
            if metadata.get(key) != expected:
                raise WeightsError(
                    f"{origin}: {key} {metadata.get(key)!r}, expected {expected!r}; make it with "
                    "`fusion export`"
                )
        if metadata.get("size") != ANY_SIZE:
            raise WeightsError(
                f"{origin}: is for pictures of {metadata.get('size')} only; export it without "
                "--size"
            )
        try:
            slots = np.frombuffer(base64.b64decode(metadata["slots"], validate=True), "<f4")
            return cls(
                model=metadata["model"],
                features=TypeAdapter(Features).validate_json(metadata["features"]),
                grid=max(1, int(metadata["grid"])),
                weights=metadata["weights"],
                slots=slots.reshape(json.loads(metadata["slots_shape"])).astype(np.float32),
                scores=parse_scores(metadata.get("scores", NO_SCORES)),
            )
        except (KeyError, ValueError, TypeError, ValidationError) as error:
            reason = f"{type(error).__name__}: {error}".partition("\n")[0]
            raise WeightsError(
                f"{origin}: its metadata are torn ({reason}); make it again with `fusion export`"
            ) from None
