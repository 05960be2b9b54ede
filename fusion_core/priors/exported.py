"""The embedded provider as an exported file, run without PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.errors import WeightsError
from fusion_core.inference import SessionConfig, open_session
from fusion_core.priors.inputs import (
    CROP,
    CROPS,
    STATISTICS,
    THUMB_COLUMNS,
    THUMB_ROWS,
    make_inputs,
)
from fusion_core.priors.kinds import kinds_of
from fusion_core.priors.provider import Assessment
from fusion_core.priors.tokens import DIM, TOKENS
from fusion_core.runtime.safetensors_file import read_safetensors, weights_identity
from fusion_core.types import FloatImage, Modality, UInt8Image

FILE: Final = Path(__file__).parent / "weights" / "embedded.onnx"
FORMAT: Final = "fusion-prior-network"
VERSION: Final = "1"
PARTS: Final = ("probabilities", "quality", "tokens")
_ADVICE: Final = "make it with `fusion export --model prior`"


class ExportedProvider:
    """Assesses as :class:`EmbeddedProvider` does, whose networks its file holds.

    Args:
        config: How the file is executed.
        path: The file.

    Raises:
        WeightsError: The file is missing, torn, foreign, or made from other weights than lie beside
            it.
    """

    name = "embedded"

    def __init__(self, config: SessionConfig, path: Path = FILE) -> None:
        self._session = open_session(path, config)
        metadata = self._session.metadata
        for key, expected in (("format", FORMAT), ("version", VERSION)):
            if metadata.get(key) != expected:
                raise WeightsError(
                    f"{path}: {key} {metadata.get(key)!r}, expected {expected!r}; {_ADVICE}"
                )
        weights = path.with_suffix(".safetensors")
        if weights.is_file() and prior_identity(weights) != metadata.get("weights"):
            raise WeightsError(
                f"{path}: was made from other weights than {weights.name} beside it; {_ADVICE}"
            )

    @property
    def dim(self) -> int:
        """Width of the tokens."""
        return DIM

    def assess(self, visible: UInt8Image | None, thermal: FloatImage | None) -> Assessment:
        """Assess one pair."""
        heat = None if thermal is None else cv2.convertScaleAbs(thermal, alpha=255)
        pictures: dict[Modality, Any] = {"visible": visible, "thermal": heat}
        feeds: dict[str, NDArray[Any]] = {}
        for modality, picture in pictures.items():
            feeds |= _inputs(modality, picture)
        made = self._session.run(feeds)
        qualities: list[float] = []
        probabilities: dict[Modality, dict[str, float]] = {"visible": {}, "thermal": {}}
        tokens = np.zeros((2 * TOKENS, DIM), np.float32)
        for place, (modality, picture) in enumerate(pictures.items()):
            if picture is None:
                continue
            found = made[f"{modality}_probabilities"][0].tolist()
            probabilities[modality] = dict(zip(kinds_of(modality), found, strict=True))
            qualities.append(float(made[f"{modality}_quality"][0]))
            tokens[place * TOKENS : (place + 1) * TOKENS] = made[f"{modality}_tokens"][0]
        quality = float(np.mean(qualities)) if qualities else 0.0
        return Assessment(probabilities["visible"], probabilities["thermal"], tokens, quality)


def prior_identity(weights: Path) -> str:
    """Return what identifies the provider's weights, see :func:`weights_identity`.

    Raises:
        WeightsError: The checkpoint is missing or torn.
    """
    return weights_identity(read_safetensors(weights, "numpy", {}, WeightsError, _ADVICE)[1])


def _inputs(modality: Modality, picture: UInt8Image | None) -> dict[str, NDArray[np.float32]]:
    """Return the inputs of one network; all zero where the picture is missing."""
    channels = 3 if modality == "visible" else 1
    if picture is None:
        thumb = np.zeros((1, channels, THUMB_ROWS, THUMB_COLUMNS), np.float32)
        crops = np.zeros((1, CROPS, CROP, CROP), np.float32)
        statistics = np.zeros((1, STATISTICS), np.float32)
    else:
        inputs = make_inputs(picture)
        thumb = inputs.thumb.transpose(2, 0, 1)[None] / np.float32(255)
        crops = inputs.crops[None] / np.float32(255)
        statistics = inputs.statistics[None].astype(np.float32)
    parts = {"thumb": thumb, "crops": crops, "statistics": statistics}
    return {f"{modality}_{name}": part for name, part in parts.items()}
