"""From scene to sensor: noise, vignetting, lens blur, stripes and raw counts."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.types import CameraModel, FloatImage, UInt8Image

_KELVIN = 273.15
_COUNTS_PER_KELVIN = 100.0
_NETD_COUNTS, _STRIPE_COUNTS = 5.0, 4.0
_MARGIN = 64
# Textures and light are display values: light to this power.
DISPLAY_GAMMA = 0.55


class VisibleSensor:
    """A colour sensor with shot and read noise and a slightly vignetting lens."""

    def __init__(self, model: CameraModel, seed: int) -> None:
        rng = np.random.default_rng((seed, 3))
        shape = (model.height + _MARGIN, model.width + _MARGIN, 3)
        self._noise = rng.standard_normal(shape, dtype=np.float32)
        y, x = np.mgrid[-1 : 1 : 1j * model.height, -1 : 1 : 1j * model.width].astype(np.float32)
        self._vignette = (1 - 0.11 * (x**2 + y**2))[..., None].repeat(3, axis=2)

    def expose(
        self, picture: FloatImage, index: int, gain: float, stops: float = 0.0
    ) -> UInt8Image:
        """Return uint8 RGB of a picture of display values.

        Args:
            picture: ``HxWx3`` float32 RGB, 255 is white; brighter ones are clipped.
            index: Number of the frame.
            gain: How far the amplifier is turned up, in [0, 1].
            stops: Exposure against the usual one.
        """
        height, width = picture.shape[:2]
        if stops:
            picture = picture * np.float32(2.0 ** (stops * DISPLAY_GAMMA))
        top, left = _offset(index)
        noise = self._noise[top : top + height, left : left + width]
        seen = cv2.multiply(np.ascontiguousarray(picture), self._vignette)
        if gain > 0.02:
            spread = cv2.sqrt(
                np.maximum(seen, 0) * np.float32(1.1 * gain) + (1.2 + 3.6 * gain) ** 2
            )
            seen += spread * noise
        else:
            seen += np.float32(1.3) * noise
        return np.asarray(cv2.convertScaleAbs(np.maximum(seen, 0)), np.uint8)


class ThermalSensor:
    """A radiometric microbolometer: 0.01 K per count, about 50 mK noise, column stripes."""

    def __init__(self, model: CameraModel, seed: int) -> None:
        rng = np.random.default_rng((seed, 4))
        shape = (model.height + _MARGIN, model.width + _MARGIN)
        self._noise = _NETD_COUNTS * rng.standard_normal(shape, dtype=np.float32)
        pattern = 1.5 * rng.standard_normal((model.height, model.width), dtype=np.float32)
        stripes = _STRIPE_COUNTS * rng.standard_normal((1, model.width), dtype=np.float32)
        self._pattern = pattern + stripes
        self._blur = 0.55 * model.width / 320

    def expose(self, celsius: FloatImage, index: int) -> NDArray[np.uint16]:
        """Return uint16 counts in hundredths of a kelvin."""
        height, width = celsius.shape
        top, left = _offset(index)
        soft = cv2.GaussianBlur(celsius, (0, 0), self._blur)
        counts = (soft + np.float32(_KELVIN)) * np.float32(_COUNTS_PER_KELVIN)
        counts += self._pattern + self._noise[top : top + height, left : left + width]
        return np.asarray(np.clip(counts + 0.5, 0, 65535), np.uint16)


def _offset(index: int) -> tuple[int, int]:
    """Return a corner in the noise field that differs from frame to frame."""
    return (index * 29 + 7) % _MARGIN, (index * 43 + 11) % _MARGIN
