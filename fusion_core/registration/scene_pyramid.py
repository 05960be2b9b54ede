"""A visible and a thermal image on one grid, with their descriptors and similarities per scale."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import cv2
import numpy as np

from fusion_core.registration.descriptors import DescriptorMaps, compute_descriptors
from fusion_core.registration.pyramid import average_descriptors, descriptors_at_scale
from fusion_core.registration.rig import Matrix, Size
from fusion_core.registration.volumes import SimilarityVolumes, correlate_blocks, extend_volumes
from fusion_core.types import FloatImage, Mask

IDENTITY: Final = np.eye(3)
_GRID = 4  # spacing in pixels of the grid of local means


@dataclass(frozen=True, slots=True)
class PyramidLevel:
    """One scale of the search.

    Attributes:
        factor: Reduction of the images.
        reach: Largest displacement compared, in reduced pixels.
        cell: Distance of block centres, a third of a block, in reduced pixels.
        spreads: Smoothing of the likelihood in reduced pixels, wide to narrow.
        margin: Distance beyond ``reach`` over which similarity is extrapolated, in reduced pixels.
    """

    factor: int
    reach: int
    cell: int
    spreads: tuple[float, ...]
    margin: int = 0


@dataclass(frozen=True, eq=False)
class ScenePyramid:
    """A pair of images on one grid, roughly registered.

    Attributes:
        visible: ``HxW`` float32 gray levels of 0 to 255.
        thermal: The same for the thermal image.
        valid: ``HxW`` bool, where the thermal image is valid.
    """

    visible: FloatImage
    thermal: FloatImage
    valid: Mask
    _cache: dict[int, tuple[DescriptorMaps, DescriptorMaps]] = field(
        default_factory=dict, repr=False
    )

    @cached_property
    def size(self) -> Size:
        """Width and height in pixels."""
        return self.visible.shape[1], self.visible.shape[0]

    def warped(self, matrix: Matrix) -> tuple[FloatImage, Mask]:
        """Return the thermal image sampled at ``matrix @ pixel``, and where that is valid."""
        flags = cv2.WARP_INVERSE_MAP
        thermal = cv2.warpPerspective(
            self.thermal, matrix, self.size, flags=flags | cv2.INTER_LINEAR
        )
        valid = cv2.warpPerspective(
            self.valid.astype(np.uint8), matrix, self.size, flags=flags | cv2.INTER_NEAREST
        )
        return np.asarray(thermal, np.float32), valid > 0

    def descriptors(self, factor: int) -> tuple[DescriptorMaps, DescriptorMaps]:
        """Return the descriptors of the reduced visible and thermal image, computed once."""
        if factor not in self._cache:
            visible = descriptors_at_scale(self.visible, np.ones_like(self.valid), factor)
            thermal = descriptors_at_scale(self.thermal, self.valid, factor)
            self._cache[factor] = visible, thermal
        return self._cache[factor]

    def volumes(self, matrix: Matrix, level: PyramidLevel) -> SimilarityVolumes:
        """Compare the images around the alignment ``matrix``."""
        visible, thermal = self.descriptors(level.factor)
        if not np.array_equal(matrix, IDENTITY):
            thermal = descriptors_at_scale(*self.warped(matrix), level.factor)
        volumes = correlate_blocks(visible, thermal, level.reach, level.cell)
        return extend_volumes(volumes, level.margin)


class FullDetailPyramid(ScenePyramid):
    """A pyramid whose coarse levels average the descriptors of the full resolution."""

    def descriptors(self, factor: int) -> tuple[DescriptorMaps, DescriptorMaps]:
        """Return the averaged descriptors of the visible and thermal image, computed once."""
        if factor not in self._cache:
            if factor == 1:
                everywhere = np.ones(self.valid.shape, np.float32)
                visible = compute_descriptors(self.visible, everywhere, _GRID)
                thermal = self._thermal_descriptors(IDENTITY)
            else:
                visible, thermal = (
                    average_descriptors(maps, factor) for maps in self.descriptors(1)
                )
            self._cache[factor] = visible, thermal
        return self._cache[factor]

    def volumes(self, matrix: Matrix, level: PyramidLevel) -> SimilarityVolumes:
        """Compare the images around the alignment ``matrix``."""
        visible, thermal = self.descriptors(level.factor)
        if not np.array_equal(matrix, IDENTITY):
            thermal = average_descriptors(self._thermal_descriptors(matrix), level.factor)
        # Descriptors of full resolution are smooth: every second pixel holds the same information.
        step = 2 if level.factor == 1 else 1
        volumes = correlate_blocks(visible, thermal, level.reach, level.cell, step)
        return extend_volumes(volumes, level.margin)

    def _thermal_descriptors(self, matrix: Matrix) -> DescriptorMaps:
        """Return the descriptors of the thermal image sampled at ``matrix @ pixel``.

        The border of the valid area moves by fractions of a pixel with the image. With whole
        pixels the likelihood would be discontinuous, and the search would oscillate.
        """
        flags = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
        thermal, valid = (
            np.asarray(cv2.warpPerspective(image, matrix, self.size, flags=flags), np.float32)
            for image in (self.thermal, self.valid.astype(np.float32))
        )
        return compute_descriptors(thermal, valid, _GRID)
