"""Both cameras' images on the visible camera's pixel grid."""

from __future__ import annotations

import numpy as np

from fusion_core.errors import CalibrationError
from fusion_core.registration.rig import Rig, Size
from fusion_core.registration.warp import Warp
from fusion_core.types import AlignedPair, Frame, Mask, ThermalImage


class Registrar:
    """Brings thermal images onto the visible grid by a rig's calibration.

    The maps are computed once per pair of image sizes. The masks of the results are shared between
    frames; they are not to be written to.
    """

    def __init__(self, rig: Rig | None) -> None:
        """Start with a calibration, or without one for images that are already registered."""
        self._rig = rig
        self._visible_size: Size | None = rig.visible_size if rig else None
        self._warp: Warp | None = None
        self._warp_sizes: tuple[Size, Size] | None = None
        self._masks: dict[bool, Mask] = {}

    def align(
        self, stamp_ns: int, visible: Frame | None, thermal: ThermalImage | None
    ) -> AlignedPair:
        """Return both images on one grid; at most one of them may be None.

        Without a visible frame the grid is that of the last visible frame, before the first one
        that of the rig's calibration, and without a rig that of the thermal image.

        Raises:
            CalibrationError: The sizes differ and there is no rig, or the rig is for images of
                another shape.
        """
        if visible is not None:
            height, width = visible.image.shape[:2]
            self._visible_size = (width, height)
        image = visible.image if visible is not None else None
        if thermal is None:
            assert self._visible_size is not None, "one of both images must be given"
            return AlignedPair(stamp_ns, image, None, self._mask(self._visible_size, seen=False))
        height, width = thermal.luminance.shape
        thermal_size = (width, height)
        if self._rig is None:
            self._check_same_size(thermal_size, visible)
            valid = self._mask(thermal_size, seen=True)
            return AlignedPair(stamp_ns, image, thermal.luminance, valid, thermal.temperature)
        warp = self._warp_for(thermal_size)
        temperature = thermal.temperature
        return AlignedPair(
            stamp_ns=stamp_ns,
            visible=image,
            thermal=warp.apply(thermal.luminance),
            valid=warp.valid,
            temperature=warp.apply_nearest(temperature) if temperature is not None else None,
        )

    def _warp_for(self, thermal_size: Size) -> Warp:
        """Return the map for the present sizes, computed when they change."""
        assert self._rig is not None
        assert self._visible_size is not None
        sizes = (self._visible_size, thermal_size)
        if self._warp is None or self._warp_sizes != sizes:
            self._warp = Warp.build(self._rig, *sizes)
            self._warp_sizes = sizes
        return self._warp

    def _check_same_size(self, thermal_size: Size, visible: Frame | None) -> None:
        """Raise when unregistered images reach a pipeline that has no calibration."""
        if visible is not None and self._visible_size != thermal_size:
            shown = "x".join(map(str, self._visible_size or ()))
            raise CalibrationError(
                f"visible frames are {shown}, thermal frames {thermal_size[0]}x{thermal_size[1]}: "
                "without a calibration both must have the same size; give --calibration RIG.yaml"
            )

    def _mask(self, size: Size, *, seen: bool) -> Mask:
        """Return a mask of one value, kept while the size stays the same."""
        mask = self._masks.get(seen)
        if mask is None or mask.shape != (size[1], size[0]):
            mask = self._masks[seen] = np.full((size[1], size[0]), seen)
        return mask
