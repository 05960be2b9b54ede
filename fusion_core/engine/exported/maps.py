"""Pictures from a network's maps."""

from __future__ import annotations

import cv2
import numpy as np

from fusion_core.types import FloatImage


def apply_maps(maps: FloatImage, thermal: FloatImage, visible: FloatImage) -> FloatImage:
    """Return ``HxW`` ``a visible + b thermal + m max(thermal, visible) + c`` in [0, 1].

    What ``models.blocks.apply_maps`` does in PyTorch.

    Args:
        maps: ``a``, ``b``, ``m`` and ``c``, ``4xhxw`` float32; they are interpolated.
        thermal: ``HxW`` float32 in [0, 1].
        visible: The same.
    """
    height, width = thermal.shape
    a, b, m, fused = (cv2.resize(plane, (width, height)) for plane in maps)
    cv2.accumulateProduct(a, visible, fused)
    cv2.accumulateProduct(b, thermal, fused)
    cv2.accumulateProduct(m, cv2.max(thermal, visible), fused)
    return np.asarray(np.clip(fused, 0, 1, out=fused), np.float32)
