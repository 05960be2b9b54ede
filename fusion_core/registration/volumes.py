"""Similarity of each block of the visible image with the thermal image, over displacements."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.registration.descriptors import DescriptorMaps
from fusion_core.types import FloatImage

Vectors = NDArray[np.float64]

_NOISE = 0.02  # descriptor energy per pixel that counts as noise
_ACROSS = np.array([0.25, 0.5, 0.25])  # of a window, over its cells
_BORDER = cv2.BORDER_CONSTANT
_LEAST_COVER = 0.25  # fraction of a block that must be valid in both images


@dataclass(frozen=True, eq=False)
class SimilarityVolumes:
    """Similarity of blocks over displacements.

    Attributes:
        centres: ``Nx2`` block centres ``(x, y)`` in pixels, row by row.
        grid: Rows and columns of blocks, ``N = rows * columns``.
        shifts: ``Mx2`` displacements ``(x, y)`` in pixels.
        scores: ``NxM`` float32 in [-1, 1], the normalised correlation of the descriptors; 0 for
            blocks that are not ``seen``.
        seen: ``N`` bool, blocks that are valid in both images.
    """

    centres: Vectors
    grid: tuple[int, int]
    shifts: Vectors
    scores: FloatImage
    seen: NDArray[np.bool_]


def correlate_blocks(
    visible: DescriptorMaps, thermal: DescriptorMaps, reach: int, cell: int, step: int = 1
) -> SimilarityVolumes:
    """Correlate blocks over displacements of up to ``reach`` pixels.

    A block is a window of 3x3 cells with weights 1-2-1 in both directions; block centres are one
    cell apart. Every ``step``-th pixel in both directions is compared; ``step`` divides ``cell``.
    """
    height, width = visible.energy.shape
    rows, columns = height // cell, width // cell
    # The grid of cells is centred in the image.
    top, left = (height - rows * cell) // 2, (width - columns * cell) // 2
    box = slice(top, top + rows * cell, step), slice(left, left + columns * cell, step)
    own, own_energy, own_valid = (
        np.ascontiguousarray(visible.channels[:, box[0], box[1]]),
        visible.energy[box],
        visible.valid[box],
    )
    around = ((reach, reach), (reach, reach))
    other = np.pad(thermal.channels, ((0, 0), *around))
    energy, valid = np.pad(thermal.energy, around), np.pad(thermal.valid, around)
    shifts, side = _square(reach), cell // step
    scores = np.empty((rows * columns, len(shifts)), np.float32)
    cover = np.empty_like(scores)
    for index, (dx, dy) in enumerate(shifts):
        y, x = top + reach + dy, left + reach + dx
        there = slice(y, y + rows * cell, step), slice(x, x + columns * cell, step)
        dot = np.einsum("chw,chw->hw", own, other[:, there[0], there[1]])
        both, mine, others, seen_by_both = (
            _windows(part, side)
            for part in (
                dot,
                own_energy * valid[there],
                energy[there] * own_valid,
                valid[there] * own_valid,
            )
        )
        noise = _NOISE * seen_by_both + 1e-3
        scores[:, index] = (both / np.sqrt((mine + noise) * (others + noise))).ravel()
        cover[:, index] = seen_by_both.ravel()
    seen = cover.min(axis=1) > _LEAST_COVER * side * side
    scores[~seen] = 0
    y, x = np.mgrid[:rows, :columns]
    centres = np.stack((x.ravel() * cell + left, y.ravel() * cell + top), axis=1) + (cell - 1) / 2
    return SimilarityVolumes(centres, (rows, columns), shifts.astype(np.float64), scores, seen)


def _square(reach: int) -> NDArray[np.int_]:
    """Return the whole displacements up to ``reach`` in both directions, ``Mx2``."""
    side = np.arange(-reach, reach + 1)
    return np.stack(np.meshgrid(side, side), axis=2).reshape(-1, 2)


def _windows(image: FloatImage, cell: int) -> FloatImage:
    """Return sums over cells, blurred with 1-2-1 in both directions to a mean of one cell."""
    size = image.shape[1] // cell, image.shape[0] // cell
    means = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return np.asarray(
        cv2.sepFilter2D(means, cv2.CV_32F, _ACROSS, _ACROSS * cell**2, borderType=_BORDER),
        np.float32,
    )


def extend_volumes(volumes: SimilarityVolumes, margin: int) -> SimilarityVolumes:
    """Return volumes in which similarity is extrapolated as constant over ``margin`` pixels.

    Without it, most displacements of a flat block near the end of the range lie on one side, and
    their mean biases the block towards the centre.
    """
    if margin == 0:
        return volumes
    side = round(len(volumes.shifts) ** 0.5)
    around = ((0, 0), (margin, margin), (margin, margin))
    scores = np.pad(volumes.scores.reshape(-1, side, side), around, mode="edge")
    return replace(
        volumes,
        shifts=_square(side // 2 + margin).astype(np.float64),
        scores=scores.reshape(len(scores), -1),
    )


def shifted_scores(volumes: SimilarityVolumes, by: Vectors) -> FloatImage:
    """Return the scores with each block's displacements relative to ``by``, ``Nx2`` pixels.

    ``result[block, shift] = scores[block, shift + by]``, linearly interpolated; displacements
    beyond those compared take the score of the outermost.
    """
    side = round(len(volumes.shifts) ** 0.5)
    reach = side // 2
    whole = np.floor(by)
    part = (by - whole).astype(np.float32)
    place = (volumes.shifts[None] + whole[:, None] + reach).astype(int)
    result = np.zeros_like(volumes.scores)
    for right in (0, 1):
        for down in (0, 1):
            x = np.clip(place[..., 0] + right, 0, side - 1)
            y = np.clip(place[..., 1] + down, 0, side - 1)
            weight = np.abs(1 - right - part[:, :1]) * np.abs(1 - down - part[:, 1:])
            result += weight * np.take_along_axis(volumes.scores, y * side + x, axis=1)
    return result
