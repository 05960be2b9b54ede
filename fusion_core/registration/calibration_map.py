"""The rig's map from visible to thermal pixels, cached so that a correction costs little."""

from __future__ import annotations

import math
from functools import cached_property

import cv2
import numpy as np

from fusion_core.registration.projective import normalised
from fusion_core.registration.rig import Matrix, Rig, Size
from fusion_core.registration.warp import Warp, map_pixels, pixel_grid
from fusion_core.types import FloatImage

_OUTSIDE = -1e4


class CalibrationMap:
    """Maps for one pair of image sizes.

    Args:
        rig: Calibration, or None for images that are registered already.
        visible_size: Width and height in pixels.
        thermal_size: The same for the thermal images.
        range_px: Largest expected correction in pixels.

    Raises:
        CalibrationError: The sizes are no scaled form of the rig's, or the cameras' views do not
            overlap.
    """

    def __init__(
        self, rig: Rig | None, visible_size: Size, thermal_size: Size, range_px: float
    ) -> None:
        self._rig = rig
        self._visible_size, self._thermal_size = visible_size, thermal_size
        self._margin = math.ceil(1.5 * range_px)
        self.uncorrected = Warp.build(rig, visible_size, thermal_size) if rig else None

    @cached_property
    def _padded(self) -> FloatImage:
        """The thermal pixel of every visible pixel and of a margin around, ``HxWx2``."""
        width, height = (side + 2 * self._margin for side in self._visible_size)
        pixels = pixel_grid((width, height)) - self._margin
        if self._rig is not None:
            pixels = map_pixels(self._rig, pixels, self._visible_size, self._thermal_size)
        return pixels.reshape(height, width, 2).astype(np.float32)

    def corrected(self, matrix: Matrix) -> Warp:
        """Return the map that takes a pixel ``p`` to where the rig takes ``matrix @ p``.

        The rig's map is smooth: interpolating it between pixels avoids the camera models and is
        exact to about a hundredth of a pixel.
        """
        shift = np.eye(3)
        shift[:2, 2] = self._margin
        points = cv2.warpPerspective(
            self._padded,
            normalised(shift @ matrix),
            self._visible_size,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=(_OUTSIDE, _OUTSIDE),
        )
        return Warp.through(np.asarray(points, np.float32), self._thermal_size)
