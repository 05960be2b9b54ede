"""Blur of lens and motion, and too few pixels."""

from __future__ import annotations

import math

import cv2
import numpy as np

from fusion_core.types import FloatImage
from fusion_lab.training.degradations.medium import disc_kernel, line_kernel
from fusion_lab.training.degradations.operation import Operation


class GaussianBlur(Operation):
    """Gaussian kernel with sigma 0.8-4 px, at times up to twice as wide in one direction."""

    def __init__(self, severity: float, rng: np.random.Generator) -> None:
        super().__init__(severity, rng)
        ratio = rng.uniform(0.5, 1.0) if rng.random() < 0.3 else 1.0
        sigmas = np.array([4.0 * severity, 4.0 * severity * ratio])
        self._sigma_x, self._sigma_y = rng.permutation(sigmas)

    def __call__(self, picture: FloatImage, seconds: float) -> FloatImage:  # noqa: ARG002
        """Return the blurred picture."""
        blurred = cv2.GaussianBlur(picture, (0, 0), self._sigma_x, sigmaY=self._sigma_y)
        return np.asarray(blurred, np.float32)


class MotionBlur(Operation):
    """A line of 5-25 px in any direction, or a wandering path of that length."""

    def __init__(self, severity: float, rng: np.random.Generator) -> None:
        super().__init__(severity, rng)
        length = max(2.0, 25 * severity)
        angle = rng.uniform(0, math.pi)
        wanders = rng.random() < 0.4
        self._kernel = _path(length, angle, rng) if wanders else line_kernel(length, angle)

    def __call__(self, picture: FloatImage, seconds: float) -> FloatImage:  # noqa: ARG002
        """Return the picture of a moving camera."""
        return np.asarray(cv2.filter2D(picture, cv2.CV_32F, self._kernel), np.float32)


class Defocus(Operation):
    """A disc of radius 1.6-8 px."""

    def __init__(self, severity: float, rng: np.random.Generator) -> None:
        super().__init__(severity, rng)
        self._kernel = disc_kernel(8 * severity)

    def __call__(self, picture: FloatImage, seconds: float) -> FloatImage:  # noqa: ARG002
        """Return the picture out of focus."""
        return np.asarray(cv2.filter2D(picture, cv2.CV_32F, self._kernel), np.float32)


class Downsampling(Operation):
    """Blur, shrink by 1.6-4 and return to the old size by bicubic interpolation."""

    def __init__(self, severity: float, rng: np.random.Generator) -> None:
        super().__init__(severity, rng)
        self._ratio = 1 + 3 * severity

    def __call__(self, picture: FloatImage, seconds: float) -> FloatImage:  # noqa: ARG002
        """Return the picture of a coarser sensor."""
        height, width = picture.shape[:2]
        small = max(2, round(width / self._ratio)), max(2, round(height / self._ratio))
        blurred = cv2.GaussianBlur(picture, (0, 0), min(1.0, self._ratio - 1))
        fewer = cv2.resize(blurred, small, interpolation=cv2.INTER_AREA)
        return np.asarray(
            cv2.resize(fewer, (width, height), interpolation=cv2.INTER_CUBIC), np.float32
        )


def _path(length: float, angle: float, rng: np.random.Generator) -> FloatImage:
    """Return a kernel of unit sum along a path that changes its direction bit by bit."""
    steps = max(8, round(4 * length))
    headings = angle + np.cumsum(rng.normal(0, 0.12, steps))
    points = np.cumsum(np.stack([np.cos(headings), np.sin(headings)], 1), 0) * length / steps
    points -= (points.max(0) + points.min(0)) / 2
    reach = math.ceil(float(np.abs(points).max())) + 1
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
    columns, rows = np.rint(points).astype(int).T + reach
    np.add.at(kernel, (rows, columns), 1.0)
    return np.asarray(kernel / kernel.sum(), np.float32)
