"""What the sensor and the codec add."""

from __future__ import annotations

import math

import cv2
import numpy as np

from fusion_core.types import FloatImage
from fusion_lab.training.degradations.operation import Operation

_STRIPE_DRIFT_S = 20.0


class Noise(Operation):
    """Gaussian noise of 10-50 / 255, at times with signal-dependent shot noise or dead pixels.

    Some cameras smooth: a third of the draws correlates the noise of neighbours.
    """

    def __init__(self, severity: float, rng: np.random.Generator) -> None:
        super().__init__(severity, rng)
        self._sigma = 50 * severity / 255
        self._shot = rng.random() < 0.4
        self._pepper = 5e-4 * severity * rng.random() if rng.random() < 0.3 else 0.0
        self._grain = rng.uniform(0.5, 1.0) if rng.random() < 0.33 else 0.0

    def __call__(self, picture: FloatImage, seconds: float) -> FloatImage:
        """Return the noisy picture; every frame's noise is new."""
        rng = self.moment_rng(seconds)
        noise: FloatImage = rng.standard_normal(picture.shape, np.float32)
        if self._grain:
            noise = np.asarray(cv2.GaussianBlur(noise, (0, 0), self._grain), np.float32)
            noise /= max(float(noise.std()), 1e-6)
        if self._shot:
            # Poisson: the variance grows with the signal, with the same mean over mid-gray.
            noise *= np.sqrt(2 * np.clip(picture, 0.02, 1))
        noisy = picture + np.float32(self._sigma) * noise
        if self._pepper:
            struck = rng.random(picture.shape[:2])
            noisy[struck < self._pepper / 2] = 0
            noisy[struck > 1 - self._pepper / 2] = 1
        return np.asarray(noisy, np.float32)


class Stripes(Operation):
    """Fixed-pattern noise of uncooled thermal sensors.

    Every column has an offset of 4-20 / 255 that drifts over seconds, at times a few columns
    are darkened to 0.3-0.8; a fifth of the sensors is read out by rows.
    """

    def __init__(self, severity: float, rng: np.random.Generator) -> None:
        super().__init__(severity, rng)
        self._strength = 20 * severity / 255
        self._rows = rng.random() < 0.2
        self._grain = rng.uniform(3, 5) / 255 * severity
        self._dark = int(rng.integers(1, 9)) if rng.random() < 0.3 else 0

    def __call__(self, picture: FloatImage, seconds: float) -> FloatImage:
        """Return the striped picture."""
        turned = np.swapaxes(picture, 0, 1) if self._rows else picture
        width = turned.shape[1]
        rng = np.random.default_rng(self._seed)
        first, second = rng.standard_normal((2, width))
        turn = 2 * math.pi * seconds / _STRIPE_DRIFT_S
        offsets = self._strength * (math.cos(turn) * first + math.sin(turn) * second)
        gains = np.ones(width)
        if self._dark:
            places = rng.integers(0, width, self._dark)
            gains[places] = 1 - self.severity * (1 - rng.uniform(0.3, 0.8, self._dark))
        shape = (1, width) + (1,) * (picture.ndim - 2)
        striped = turned * gains.reshape(shape) + offsets.reshape(shape)
        noise = self.moment_rng(seconds).standard_normal(turned.shape, np.float32)
        striped = striped + self._grain * noise
        return np.asarray(np.swapaxes(striped, 0, 1) if self._rows else striped, np.float32)


class Jpeg(Operation):
    """JPEG at quality 70-20."""

    def __init__(self, severity: float, rng: np.random.Generator) -> None:
        super().__init__(severity, rng)
        self._quality = round(82.5 - 62.5 * severity)

    def __call__(self, picture: FloatImage, seconds: float) -> FloatImage:  # noqa: ARG002
        """Return the picture after compression."""
        pixels = np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)
        # OpenCV takes colours as BGR: turned round, so that luma is luma.
        pixels = np.ascontiguousarray(pixels[..., ::-1]) if picture.ndim == 3 else pixels
        _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, self._quality])
        decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_UNCHANGED), np.float32)
        decoded /= 255
        return decoded[..., ::-1] if picture.ndim == 3 else decoded
