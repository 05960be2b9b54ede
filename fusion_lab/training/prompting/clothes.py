"""People in clothes as cold as the air, of whom head, hands and legs are warm."""

from __future__ import annotations

import cv2
import numpy as np

from fusion_core.types import FloatImage, Mask, UInt8Image

# People that are higher, in pixels, and at which shares of their height clothes begin and end.
_LEAST_HEIGHT = 24
_COLLAR, _HEM = (0.12, 0.25), (0.45, 0.9)
# How much of the way to the surround they are colder, and how soft their border is, in pixels.
_COLDER, _BLUR = (0.4, 1.0), (0.5, 1.5)
_RING = 9


def cool_clothes(thermal: FloatImage, people: Mask, rng: np.random.Generator) -> FloatImage:
    """Return the thermal picture with some people in cold clothes, ``HxW`` in [0, 1].

    Clothes keep half of their texture.

    Args:
        thermal: ``HxW`` in [0, 1].
        people: ``HxW`` their silhouettes.
        rng: Source of the random choices.
    """
    cooled = thermal
    count, labels, stats, _ = cv2.connectedComponentsWithStats(people.astype(np.uint8))
    for label in range(1, count):
        top, height = (int(stats[label, key]) for key in (cv2.CC_STAT_TOP, cv2.CC_STAT_HEIGHT))
        if height < _LEAST_HEIGHT or rng.random() < 0.5:
            continue
        own = (labels == label).astype(np.uint8)
        ring = (cv2.dilate(own, np.ones((_RING, _RING), np.uint8)) > 0) & ~people
        clothes = own.copy()
        clothes[: top + round(rng.uniform(*_COLLAR) * height)] = 0
        clothes[top + round(rng.uniform(*_HEM) * height) :] = 0
        if not (clothes.any() and ring.any()):
            continue
        cooled = _cooled(cooled, clothes, float(np.median(thermal[ring])), rng)
    return cooled


def _cooled(
    thermal: FloatImage, clothes: UInt8Image, air: float, rng: np.random.Generator
) -> FloatImage:
    cover = cv2.GaussianBlur(clothes.astype(np.float32), (0, 0), rng.uniform(*_BLUR))
    cover *= np.float32(rng.uniform(*_COLDER))
    texture = thermal - cv2.GaussianBlur(thermal, (0, 0), 2)
    cold = air + texture / 2 + np.float32(rng.uniform(-0.02, 0.05))
    return np.asarray(np.clip(thermal + cover * (cold - thermal), 0, 1), np.float32)
