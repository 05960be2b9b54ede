"""A still camera's world with texture in both images, and what comes in front of it."""

import cv2
import numpy as np

from fusion_core.types import AlignedPair

HEIGHT, WIDTH = 240, 320
SECOND = 1_000_000_000
AIRLIGHT = 200.0


def texture(seed, height=HEIGHT, width=WIDTH, sigma=1.5):
    """Return smooth noise in [0, 1]."""
    noise = np.random.default_rng(seed).normal(size=(height, width)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), sigma)
    low, high = np.percentile(smooth, (1, 99))
    return np.clip((smooth - low) / (high - low), 0, 1)


class World:
    """One place; `offset` looks at it from pixels aside."""

    def __init__(self, seed=0):
        self._grey = texture(seed, HEIGHT + 200, WIDTH + 200)
        self._heat = texture(seed + 1000, HEIGHT + 200, WIDTH + 200, 3.0)

    def visible(self, offset=(0, 0)):
        grey = self._cut(self._grey, offset)
        return (np.stack([grey, 0.8 * grey, 0.6 * grey], -1) * 150 + 20).astype(np.uint8)

    def thermal(self, offset=(0, 0)):
        return 0.2 + 0.3 * self._cut(self._heat, offset)

    @staticmethod
    def _cut(image, offset):
        x, y = 100 + offset[0], 100 + offset[1]
        return image[y : y + HEIGHT, x : x + WIDTH].copy()


def pair(visible, thermal, seconds):
    return AlignedPair(
        round(seconds * SECOND), visible, thermal.astype(np.float32), np.ones(thermal.shape, bool)
    )


def soft_disc(x=160, y=120, radius=70):
    """Return the outline of a cloud, 1 inside and falling softly to 0."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return 1 / (1 + np.exp((np.hypot(columns - x, rows - y) - radius) / 8))


def veiled(visible, density):
    """Return a picture behind smoke of a density in [0, 1], one number or one for every pixel."""
    share = np.broadcast_to(np.asarray(density, np.float32), visible.shape[:2])[..., None]
    return (visible * (1 - share) + AIRLIGHT * share).astype(np.uint8)


def error(first, second, where=None):
    """Return the root mean square difference in grey levels."""
    difference = (first.astype(np.float32) - second) ** 2
    return float(np.sqrt(difference.mean() if where is None else difference[where].mean()))
