"""Statistics that depend on how an image was degraded, at a cost of a few milliseconds."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.types import FloatImage, UInt8Image

_RANKS = np.array([0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99])
_RINGS, _SECTORS, _ORIENTATIONS = 8, 4, 8
_SMALL = 1e-4
_TILE = 16
STATISTICS = 12 + 8 + 5 + 6 + 4 + 2 + _ORIENTATIONS + _RINGS * _SECTORS

Vector = NDArray[np.float32]


def picture_statistics(grey: UInt8Image, thumb: UInt8Image, crops: UInt8Image) -> Vector:
    """Return ``STATISTICS`` finite numbers of the order of one.

    In order: histogram, colour, detail and noise, structure across scales, column and row profiles,
    blocking, gradient orientations, and the log power spectrum in rings and sectors.

    Args:
        grey: ``HxW`` uint8 at full resolution.
        thumb: ``hxwxC`` uint8 thumbnail.
        crops: ``Nx64x64`` uint8 luma at full resolution.
    """
    details = crops.astype(np.float32) / np.float32(255)
    down = details[:, 1:, :-1] - details[:, :-1, :-1]
    right = details[:, :-1, 1:] - details[:, :-1, :-1]
    parts = (
        _histogram(grey),
        _colour(thumb),
        _detail(details, down, right),
        _scales(thumb),
        _profiles(grey),
        _blocking(details),
        _orientations(down, right),
        _spectrum(details),
    )
    return np.concatenate(parts).astype(np.float32)


def _histogram(grey: UInt8Image) -> Vector:
    """Return percentiles, mean, deviation, entropy / 8 and the clipped shares (12)."""
    counts = cv2.calcHist([grey], [0], None, [256], [0, 256]).ravel()
    share = counts / counts.sum()
    levels = np.arange(256) / 255
    mean = float(share @ levels)
    deviation = float(np.sqrt(max(share @ (levels - mean) ** 2, 0)))
    filled = share[share > 0]
    entropy = float(-(filled * np.log2(filled)).sum()) / 8
    ranks = np.searchsorted(np.cumsum(share), _RANKS) / 255
    clipped = np.sqrt([share[:3].sum(), share[253:].sum()])
    return np.concatenate((ranks, [mean, deviation, entropy], clipped)).astype(np.float32)


def _colour(thumb: UInt8Image) -> Vector:
    """Return channel means, saturation and the dark channel (mean, 90 %, upper half) (8)."""
    planes = [plane.astype(np.float32) / np.float32(255) for plane in cv2.split(thumb)]
    red, green, blue = planes if len(planes) == 3 else planes * 3
    low, high = cv2.min(cv2.min(red, green), blue), cv2.max(cv2.max(red, green), blue)
    saturation = (high - low) / np.maximum(high, np.float32(0.05))
    dark = cv2.erode(low, np.ones((5, 5), np.uint8))
    half = dark.shape[0] // 2
    found = [red.mean(), green.mean(), blue.mean(), saturation.mean(), saturation.std()]
    found += [dark.mean(), np.percentile(dark, 90), dark[:half].mean() - dark[half:].mean()]
    return np.asarray(found, np.float32)


def _detail(details: FloatImage, down: FloatImage, right: FloatImage) -> Vector:
    """Return log gradient, Laplacian, noise of the flattest tiles, and their spread (5)."""
    gradient = np.sqrt((down**2 + right**2).mean((1, 2)))
    second = details[..., :-2] - 2 * details[..., 1:-1] + details[..., 2:]
    # Immerkaer's mask is the outer product of (1, -2, 1) with itself.
    response = np.abs(second[:, :-2] - 2 * second[:, 1:-1] + second[:, 2:])
    whole = response.shape[1] // _TILE * _TILE
    tiles = response[:, :whole, :whole].reshape(len(details), whole // _TILE, _TILE, -1, _TILE)
    flattest = np.percentile(tiles.mean((2, 4)), 10)
    found = [gradient.mean(), gradient.max(), response.mean(), flattest, gradient.std()]
    return _log(np.asarray(found))


def _scales(thumb: UInt8Image) -> Vector:
    """Return log energy of three octaves below the thumbnail, whole and in its upper half (6)."""
    grey = thumb.astype(np.float32).mean(2) / np.float32(255)
    found = []
    for _ in range(3):
        smaller = cv2.pyrDown(grey)
        band = grey - cv2.pyrUp(smaller, dstsize=(grey.shape[1], grey.shape[0]))
        found += [band.std(), band[: len(band) // 2].std()]
        grey = smaller
    return _log(np.asarray(found))


def _profiles(grey: UInt8Image) -> Vector:
    """Return log roughness of column and row means, and their largest steps (4)."""
    found: list[float] = []
    for axis in (0, 1):
        profile = cv2.reduce(grey, axis, cv2.REDUCE_AVG, dtype=cv2.CV_32F).ravel() / 255
        rough = np.abs(profile[:-2] - 2 * profile[1:-1] + profile[2:]) if len(profile) > 2 else 0
        found += [float(np.median(rough)), float(np.max(rough))]
    return _log(np.asarray(found))


def _blocking(details: FloatImage) -> Vector:
    """Return log ratio of steps at the borders of 8x8 blocks to steps elsewhere, both ways (2)."""
    found = []
    for axis in (1, 2):
        steps = np.abs(np.diff(details, axis=axis)).mean((0, 3 - axis))
        border = np.arange(len(steps)) % 8 == 7
        found.append((steps[border].mean() + _SMALL) / (steps[~border].mean() + _SMALL))
    return np.log(np.asarray(found, np.float32))


def _orientations(down: FloatImage, right: FloatImage) -> Vector:
    """Return the share of gradient energy per direction (times the number of directions)."""
    across, along = np.ascontiguousarray(right).ravel(), np.ascontiguousarray(down).ravel()
    turn = cv2.phase(across, along).ravel() * np.float32(_ORIENTATIONS / np.pi)
    bins = turn.astype(np.intp) % _ORIENTATIONS
    summed = np.bincount(bins, across**2 + along**2, _ORIENTATIONS)
    return np.asarray(_ORIENTATIONS * summed / (summed.sum() + _SMALL), np.float32)


def _spectrum(details: FloatImage) -> Vector:
    """Return the log power of the crops in rings and sectors of the frequency plane."""
    window = np.hanning(details.shape[1]).astype(np.float32)
    centred = details - details.mean((1, 2), keepdims=True)
    power = np.abs(np.fft.rfft2(centred * window[:, None] * window)) ** 2
    summed = np.bincount(_CELLS.ravel(), power.mean(0).ravel(), _RINGS * _SECTORS + 1)
    return np.asarray(np.log10(summed[:-1] / _CELL_SIZES + 1e-7) / 2, np.float32)


def _cells(size: int = 64) -> NDArray[np.intp]:
    """Return the ring and sector of every frequency; the corner beyond the rings is one more."""
    y, x = np.meshgrid(np.fft.fftfreq(size), np.fft.rfftfreq(size), indexing="ij")
    ring = np.floor(np.hypot(x, y) * 2 * _RINGS).astype(np.intp)
    # Sectors are centred on the axes and diagonals.
    turn = np.arctan2(y, x) % np.pi * _SECTORS / np.pi
    cell = np.minimum(ring, _RINGS - 1) * _SECTORS + np.rint(turn).astype(np.intp) % _SECTORS
    return np.where(ring < _RINGS, cell, _RINGS * _SECTORS)


def _log(values: NDArray[np.floating]) -> Vector:
    return np.asarray(np.log10(values + _SMALL), np.float32)


_CELLS = _cells()
_CELL_SIZES = np.maximum(np.bincount(_CELLS.ravel(), minlength=_RINGS * _SECTORS + 1)[:-1], 1)
