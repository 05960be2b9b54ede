"""Too little light, too much of it, too little contrast."""

from __future__ import annotations

import math

import cv2
import numpy as np

from fusion_core.types import FloatImage
from fusion_lab.training.degradations.operation import Operation, onset, per_pixel

_DRIFT_S = 7.0


class LowLight(Operation):
    """(k J)^gamma with k 0.6-0.1 and gamma 1-3, then shot noise (peak 70-300) and read noise.

    Gamma is kept where the brightest pixel stays above 5 %: what is black has no kind.
    """

    def __init__(self, severity: float, rng: np.random.Generator) -> None:
        super().__init__(severity, rng)
        self._gain = 10.0**-severity
        steepest = min(3.0, math.log(0.05) / math.log(self._gain))
        self._gamma = 1 + onset(severity) * (rng.uniform(1.0, max(1.0, steepest)) - 1)
        self._noise = onset(severity) * rng.uniform(0, 1)
        self._peak = rng.uniform(70, 300)
        self._read = rng.uniform(2, 10) / 255
        self._phase = rng.uniform(0, 2 * math.pi)

    def __call__(self, picture: FloatImage, seconds: float) -> FloatImage:
        """Return the picture in the dark."""
        gain = self._gain * drift(seconds, self._phase)
        dark = np.power(np.clip(gain * picture, 0, 1), np.float32(self._gamma))
        rng = self.moment_rng(seconds)
        # The sensor's noise: its variance is signal / peak + read^2.
        deviation = self._noise * np.sqrt(dark / self._peak + (0.5 * self._read) ** 2)
        return np.asarray(
            dark + deviation * rng.standard_normal(picture.shape, np.float32), np.float32
        )


class OverExposure(Operation):
    """k J^gamma with k 1.4-3 and gamma 0.9-0.5; clipped areas bloom (sigma 5-15 px).

    The gain ends where 70 % of the picture would be clipped.
    """

    def __init__(self, severity: float, rng: np.random.Generator) -> None:
        super().__init__(severity, rng)
        # The less gain, the more gamma: both at once would leave a white page.
        share = rng.uniform(0.2, 0.9)
        self._gain = 1 + 2 * severity * share
        self._gamma = 1 - 0.5 * severity * (1 - share)
        self._bloom = rng.uniform(5, 15)
        self._phase = rng.uniform(0, 2 * math.pi)

    def __call__(self, picture: FloatImage, seconds: float) -> FloatImage:
        """Return the picture with burnt highlights."""
        curved = np.power(np.clip(picture, 0, 1), np.float32(self._gamma))
        limit = 1 / max(float(np.percentile(curved[::4, ::4], 30)), 0.05)
        bright = min(self._gain * drift(seconds, self._phase), max(1.0, limit)) * curved
        excess = bright if bright.ndim == 2 else bright.max(axis=2)
        burnt = cv2.GaussianBlur((excess > 1).astype(np.float32), (0, 0), self._bloom)
        return np.asarray(bright + per_pixel(0.25 * self.severity * burnt, picture), np.float32)


class LowContrast(Operation):
    """mu + c (J - mu) with c 0.7-0.2, and an offset of up to 0.1."""

    def __init__(self, severity: float, rng: np.random.Generator) -> None:
        super().__init__(severity, rng)
        self._contrast = math.exp(-1.6 * severity)
        self._offset = onset(severity) * rng.uniform(-0.1, 0.1)
        self._phase = rng.uniform(0, 2 * math.pi)

    def __call__(self, picture: FloatImage, seconds: float) -> FloatImage:
        """Return the flat picture."""
        mean = picture.mean(dtype=np.float64)
        offset = self._offset * drift(seconds, self._phase)
        return np.asarray(mean + self._contrast * (picture - mean) + offset, np.float32)


def drift(seconds: float, phase: float) -> float:
    """Return a factor near 1 that swings slowly, as automatic exposure does."""
    return 1 + 0.08 * math.sin(2 * math.pi * seconds / _DRIFT_S + phase)
