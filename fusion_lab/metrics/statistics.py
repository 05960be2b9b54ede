"""Metrics of the fused image alone: spread of its values and of its gradients.

All take ``HxW`` uint8 and compute in float64. The ``*_u8`` forms repeat a fault of an early public
MATLAB evaluator, whose uint8 arithmetic saturates; several published tables are on that scale.
"""

from __future__ import annotations

import cv2
import numpy as np

from fusion_core.types import UInt8Image


def standard_deviation(image: UInt8Image) -> float:
    """Return SD, the population standard deviation in gray levels."""
    return float(np.std(image, dtype=np.float64))


def standard_deviation_u8(image: UInt8Image) -> float:
    """Return SD in saturating 8-bit arithmetic, about 0..16.

    sqrt(mean(min(255, round(max(0, F - mean))^2))): pixels below the mean count as 0 and squares
    end at 255. Not a monotone function of ``standard_deviation``.
    """
    above = np.maximum(0.0, image - np.mean(image, dtype=np.float64))
    rounded = np.floor(above + 0.5)
    return float(np.sqrt(np.mean(np.minimum(255.0, rounded**2))))


def spatial_frequency(image: UInt8Image) -> float:
    """Return SF = sqrt(RF^2 + CF^2), mean squared first differences (Eskicioglu, Fisher 1995)."""
    x = image.astype(np.float64)
    row = np.mean(np.diff(x, axis=1) ** 2)
    column = np.mean(np.diff(x, axis=0) ** 2)
    return float(np.sqrt(row + column))


def spatial_frequency_u8(image: UInt8Image) -> float:
    """Return SF in saturating 8-bit arithmetic: falling steps are 0, squares end at 255."""
    return float(np.sqrt(_saturated_power(image, 1) + _saturated_power(image, 0)))


def spatial_frequency_u8_vertical(image: UInt8Image) -> float:
    """Return the vertical part alone of ``spatial_frequency_u8``."""
    return float(np.sqrt(_saturated_power(image, 0)))


def _saturated_power(image: UInt8Image, axis: int) -> float:
    steps = np.maximum(0.0, np.diff(image.astype(np.float64), axis=axis))
    return float(np.mean(np.minimum(255.0, steps**2)))


def average_gradient(image: UInt8Image) -> float:
    """Return AG = mean sqrt((Gx^2 + Gy^2) / 2), central differences, one-sided at the borders."""
    gy, gx = np.gradient(image.astype(np.float64))
    return float(np.mean(np.sqrt((gx**2 + gy**2) / 2.0)))


def edge_intensity(image: UInt8Image) -> float:
    """Return EI, the mean Sobel magnitude with replicated borders."""
    gx = cv2.Sobel(image, cv2.CV_64F, 1, 0, borderType=cv2.BORDER_REPLICATE)
    gy = cv2.Sobel(image, cv2.CV_64F, 0, 1, borderType=cv2.BORDER_REPLICATE)
    return float(np.mean(np.sqrt(gx**2 + gy**2)))
