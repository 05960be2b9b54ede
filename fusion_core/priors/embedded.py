"""The provider that ships: two small networks, some milliseconds on a CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import torch
from torch import nn

from fusion_core.foundation import FoundationKind, FrozenModel
from fusion_core.priors.checkpoint import SHIPPED, load_prior
from fusion_core.priors.inputs import make_inputs
from fusion_core.priors.network import PriorNet
from fusion_core.priors.provider import Assessment
from fusion_core.priors.tokens import DIM, TOKENS
from fusion_core.runtime.shared_parts import SharedParts, file_identity
from fusion_core.types import FloatImage, UInt8Image


def _load(weights: str, dtype: torch.dtype) -> nn.Module:
    visible, thermal = load_prior(Path(weights))
    return nn.ModuleDict({"visible": visible, "thermal": thermal}).to(dtype)


EMBEDDED: Final = FoundationKind("prior 'embedded'", _load, str(SHIPPED), "its weights")
"""The networks of both modalities as a frozen model."""
_networks: SharedParts[Any] = SharedParts()
_NOTHING: tuple[dict[str, float], FloatImage] = ({}, np.zeros((TOKENS, DIM), np.float32))


class EmbeddedProvider:
    """Assesses with networks trained on this project's own degradation bank.

    Tokens are 32: a 4x4 grid of the visible picture, then one of the thermal picture; those of a
    missing picture are zero. The quality is the mean over the pictures at hand of one minus the
    severity of the worst degradation.

    Args:
        weights: Checkpoint; the shipped one when None.

    Raises:
        WeightsError: The checkpoint is missing, torn or foreign.
    """

    name = "embedded"

    def __init__(self, weights: Path | None = None) -> None:
        path = weights or SHIPPED
        self._networks = networks = _networks.get(
            file_identity(path), lambda: FrozenModel(EMBEDDED, str(path)).model
        )
        self._visible, self._thermal = networks["visible"], networks["thermal"]

    @property
    def dim(self) -> int:
        """Width of the tokens."""
        return DIM

    def assess(self, visible: UInt8Image | None, thermal: FloatImage | None) -> Assessment:
        """Assess one pair."""
        qualities: list[float] = []
        of_visible, visible_tokens = _NOTHING
        of_thermal, thermal_tokens = _NOTHING
        if visible is not None:
            of_visible, visible_tokens = _assess_one(self._visible, visible, qualities)
        if thermal is not None:
            pixels = np.asarray(cv2.convertScaleAbs(thermal, alpha=255), np.uint8)
            of_thermal, thermal_tokens = _assess_one(self._thermal, pixels, qualities)
        tokens = np.concatenate((visible_tokens, thermal_tokens))
        quality = float(np.mean(qualities)) if qualities else 0.0
        return Assessment(of_visible, of_thermal, tokens, quality)


@torch.inference_mode()
def _assess_one(
    net: PriorNet, picture: UInt8Image, qualities: list[float]
) -> tuple[dict[str, float], FloatImage]:
    """Return probabilities and tokens of one image, and add its quality to the list."""
    inputs = make_inputs(picture)
    thumb = torch.from_numpy(inputs.thumb).permute(2, 0, 1).float().div(255)
    crops = torch.from_numpy(inputs.crops).float().div(255)
    logits, quality, tokens = net(
        thumb[None], crops[None], torch.from_numpy(inputs.statistics)[None]
    )
    qualities.append(float(torch.sigmoid(quality[0])))
    found = net.probabilities(logits)[0].tolist()
    return dict(zip(net.kinds, found, strict=True)), np.asarray(tokens[0].numpy(), np.float32)
