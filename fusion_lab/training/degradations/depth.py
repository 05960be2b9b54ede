"""How far away things are, for haze and rain."""

from __future__ import annotations

from typing import Protocol

import cv2
import numpy as np

from fusion_core.types import FloatImage
from fusion_lab.training.degradations.operation import luma

_HORIZON = 0.35
_NEAREST = 0.08


class DepthProvider(Protocol):
    """Anything that estimates depth from one picture."""

    def depth(self, picture: FloatImage) -> FloatImage:
        """Return ``HxW`` float32 in [0, 1], 1 is far, for a picture in [0, 1]."""
        ...


class GroundDepth:
    """Stand-in without a network: a ground plane below the horizon, and bright air above it.

    Below the horizon depth falls with the square of the height in the picture; smooth bright
    regions above are taken as sky, dark ones as things that stand nearer.
    """

    def depth(self, picture: FloatImage) -> FloatImage:
        """Return ``HxW`` float32 in [0, 1], 1 is far, for a picture in [0, 1]."""
        grey = luma(picture)
        height, width = grey.shape
        row = np.linspace(0, 1, height, dtype=np.float32)
        below = np.clip((1 - row) / (1 - _HORIZON), 0, 1) ** 2
        plane = np.repeat((_NEAREST + (1 - _NEAREST) * below)[:, None], width, axis=1)
        small = cv2.resize(grey, (max(1, width // 8), max(1, height // 8)))
        smooth = cv2.resize(cv2.GaussianBlur(small, (0, 0), 3), (width, height))
        bright = smooth / max(float(smooth.max()), 1e-3)
        return np.asarray(plane * (0.55 + 0.45 * bright), np.float32)
