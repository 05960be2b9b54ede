"""Both cameras' images on the visible camera's pixel grid."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from fusion_core.errors import CalibrationError
from fusion_core.registration.field import Field
from fusion_core.registration.follower import Applied, Follower
from fusion_core.registration.pyramid import SMALLEST, reduced_size, work_factor
from fusion_core.registration.rig import Matrix, Rig, Size
from fusion_core.registration.settings import RegistrationConfig
from fusion_core.runtime.closable import Closable
from fusion_core.types import (
    AlignedPair,
    FloatImage,
    Frame,
    Mask,
    PixelGrid,
    ThermalImage,
    UInt8Image,
)

# Standard deviation of the low-pass of a thermal image that is not trusted, per pixel of width.
_SOFT = 1 / 80


class Registrar(Closable):
    """Brings thermal images onto the visible grid by a rig's calibration and its refinement.

    The maps are computed once per pair of image sizes and whenever the refinement has moved. The
    masks of the results are shared between frames; they are not to be written to.
    """

    def __init__(self, rig: Rig | None, config: RegistrationConfig | None = None) -> None:
        """Start with a calibration, or without one for images that are already registered."""
        self._rig = rig
        self._config = config or RegistrationConfig()
        self._visible_size: Size | None = rig.visible_size if rig else None
        self._grid = PixelGrid("", None) if rig else None
        self._field: Field | None = None
        self._field_sizes: tuple[Size, Size] | None = None
        self._masks: dict[bool, Mask] = {}
        mode = self._config.refine
        refined = mode == "on" or (mode == "auto" and rig is not None)
        self._follower = Follower(self._config) if refined else None

    @property
    def correction(self) -> Matrix:
        """The newest correction: 3x3, ``thermal_pixel = rig(correction @ visible_pixel)``."""
        newest = self._follower.newest if self._follower else None
        return newest.correction.matrix if newest else np.eye(3)

    def report(self) -> dict[str, float | None]:
        """Return what the refinement has found, empty before the first pair and where it is off."""
        newest = self._follower.newest if self._follower else None
        if newest is None:
            return {}
        found = newest.correction
        return {
            "confidence": found.confidence,
            "residual_px": found.residual_px,
            "correction_px": found.size_px,
            "measured": found.measured,
            "trusted": found.trusted,
        }

    def health(self) -> tuple[str, ...]:
        """Return what is wrong: ``registration_failed`` while nothing is measured."""
        return ("registration_failed",) if self._follower and self._follower.failed else ()

    def start(self) -> None:
        """Refine in the background from now on, instead of within ``align``."""
        if self._follower:
            self._follower.start()

    def close(self) -> None:
        """End the refinement."""
        if self._follower:
            self._follower.close()

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
            self._grid = PixelGrid(visible.frame_id, visible.camera)
        image = visible.image if visible is not None else None
        if thermal is None:
            assert self._visible_size is not None, "one of both images must be given"
            unseen = self._mask(self._visible_size, seen=False)
            return AlignedPair(stamp_ns, image, None, unseen, grid=self._grid)
        height, width = thermal.luminance.shape
        if self._rig is None:
            self._check_same_size((width, height), visible)
        applied = self._applied((width, height))
        pair = self._warped(stamp_ns, thermal, applied)
        if self._follower is None:
            return replace(pair, visible=image, grid=self._grid)
        found = applied.correction
        pair = replace(
            pair,
            visible=image,
            confidence=found.confidence,
            residual_px=found.residual_px,
            grid=self._grid,
        )
        if image is not None and _comparable(image):
            self._follower.offer(pair, applied)
        return self._by_policy(pair)

    def _warped(self, stamp_ns: int, thermal: ThermalImage, applied: Applied) -> AlignedPair:
        """Return the thermal side of a pair."""
        warp, temperature = applied.warp, thermal.temperature
        if warp is None:
            height, width = thermal.luminance.shape
            valid = self._mask((width, height), seen=True)
            return AlignedPair(stamp_ns, None, thermal.luminance, valid, temperature)
        return AlignedPair(
            stamp_ns=stamp_ns,
            visible=None,
            thermal=warp.apply(thermal.luminance),
            valid=warp.valid,
            temperature=warp.apply_nearest(temperature) if temperature is not None else None,
        )

    def _by_policy(self, pair: AlignedPair) -> AlignedPair:
        """Return what is shown while the registration is not trusted."""
        policy = self._config.on_low_confidence
        trusted = pair.confidence >= self._config.min_confidence
        if trusted or policy == "keep_last" or pair.visible is None:
            return pair
        if policy == "soften":
            return replace(pair, thermal=_soft(pair))
        size = pair.valid.shape[1], pair.valid.shape[0]
        return replace(pair, thermal=None, temperature=None, valid=self._mask(size, seen=False))

    def _applied(self, thermal_size: Size) -> Applied:
        """Return the newest map for the present sizes."""
        sizes = (self._visible_size or thermal_size, thermal_size)
        if self._field is None or self._field_sizes != sizes:
            self._field = Field(self._rig, *sizes, self._config.range_px)
            self._field_sizes = sizes
        newest = self._follower.newest if self._follower else None
        if newest is not None and newest.field is self._field:
            return newest
        return Applied.plain(self._field)

    def _check_same_size(self, thermal_size: Size, visible: Frame | None) -> None:
        """Raise when unregistered images reach a pipeline that has no calibration."""
        if visible is None:
            self._visible_size = thermal_size
        elif self._visible_size != thermal_size:
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


def _soft(pair: AlignedPair) -> FloatImage:
    """Return the thermal image without fine detail; pixels that are not seen do not count."""
    assert pair.thermal is not None
    sigma = _SOFT * pair.thermal.shape[1]
    share = cv2.GaussianBlur(pair.valid.astype(np.float32), (0, 0), sigma)
    blurred = cv2.GaussianBlur(pair.thermal, (0, 0), sigma) / np.maximum(share, 1e-3)
    return np.asarray(np.where(pair.valid, blurred, 0), np.float32)


def _comparable(image: UInt8Image) -> bool:
    """Return whether a visible image is large enough to be compared with a thermal one."""
    size = (image.shape[1], image.shape[0])
    return min(reduced_size(size, work_factor(size))) >= SMALLEST
