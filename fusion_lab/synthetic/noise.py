"""Fractal noise: the raw material of every surface, cloud and puff of smoke."""

from __future__ import annotations

import cv2
import numpy as np

from fusion_core.types import FloatImage


def fractal_noise(
    rng: np.random.Generator,
    height: int,
    width: int,
    cell: float,
    octaves: int,
    *,
    gain: float = 0.5,
) -> FloatImage:
    """Return tileable value noise summed over octaves.

    Args:
        rng: Source of randomness.
        height: Rows of the result.
        width: Columns of the result.
        cell: Size of the coarsest detail in pixels.
        octaves: Number of layers, each half as coarse as the one before.
        gain: Amplitude of each layer relative to the one before.

    Returns:
        ``height x width`` float32 with mean 0 and standard deviation 1.
    """
    total = np.zeros((height, width), np.float32)
    amplitude = 1.0
    for _ in range(octaves):
        rows, columns = max(1, round(height / cell)), max(1, round(width / cell))
        total += amplitude * _value_noise(rng, height, width, rows, columns)
        amplitude *= gain
        cell = max(1.0, cell / 2.0)
    total -= total.mean()
    return (total / max(float(total.std()), 1e-6)).astype(np.float32)


def _value_noise(
    rng: np.random.Generator, height: int, width: int, rows: int, columns: int
) -> FloatImage:
    """Return a random grid stretched smoothly to the wanted size, with equal opposite edges."""
    grid = rng.standard_normal((rows, columns), dtype=np.float32)
    margin = 2
    padded = np.pad(grid, margin, mode="wrap")
    step_y, step_x = height / rows, width / columns
    warp = np.array([[1 / step_x, 0, margin], [0, 1 / step_y, margin]], np.float32)
    smooth = cv2.INTER_CUBIC if step_y > 4 or step_x > 4 else cv2.INTER_LINEAR
    flags = smooth | cv2.WARP_INVERSE_MAP
    stretched = cv2.warpAffine(padded, warp, (width, height), flags=flags)
    return np.asarray(stretched, np.float32)
