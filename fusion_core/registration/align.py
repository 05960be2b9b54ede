"""Both cameras' images on the visible camera's pixel grid."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from fusion_core.errors import CalibrationError
from fusion_core.registration.calibration_map import CalibrationMap
from fusion_core.registration.pyramid import SMALLEST, reduced_size, work_factor
from fusion_core.registration.refinement_scheduler import AppliedMap, RefinementScheduler
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

# Standard deviation of the low-pass at low confidence, per pixel of width.
_LOW_PASS = 1 / 80


class Registrar(Closable):
    """Warps thermal images onto the visible grid by a rig's calibration and its refinement.

    The maps are computed once per pair of image sizes and whenever the correction has changed. The
    masks of the results are shared between frames and must not be written to.
    """

    def __init__(
        self,
        rig: Rig | None,
        config: RegistrationConfig | None = None,
        *,
        rig_follows: bool = False,
    ) -> None:
        """Start with a calibration, or without one for images that are already registered.

        Args:
            rig: The calibration.
            config: Settings of the refinement.
            rig_follows: ``set_rig`` will be called.
        """
        self._config = config or RegistrationConfig()
        self._take_rig(rig)
        self._masks: dict[bool, Mask] = {}
        mode = self._config.refine
        refined = mode == "on" or (mode == "auto" and (rig is not None or rig_follows))
        self._scheduler = RefinementScheduler(self._config) if refined else None

    def set_rig(self, rig: Rig) -> None:
        """Take a calibration that became known later; from the thread that aligns."""
        self._take_rig(rig)

    def _take_rig(self, rig: Rig | None) -> None:
        self._rig = rig
        self._calibrated = rig is not None
        self._visible_size: Size | None = rig.visible_size if rig else None
        self._grid = PixelGrid("", rig.visible) if rig else None
        self._base: CalibrationMap | None = None
        self._base_sizes: tuple[Size, Size] | None = None

    @property
    def correction(self) -> Matrix:
        """The newest correction: 3x3, ``thermal_pixel = rig(correction @ visible_pixel)``."""
        latest = self._latest_map()
        return latest.correction.matrix if latest else np.eye(3)

    def report(self) -> dict[str, float | None]:
        """Return the state of the refinement, empty before the first pair and without refinement.

        Keys: ``confidence`` in [0, 1], ``residual_px`` (None until an estimate is accepted),
        ``correction_px``, ``measured`` and ``accepted`` (numbers of estimates).
        """
        latest = self._latest_map()
        if latest is None:
            return {}
        state = latest.correction
        return {
            "confidence": state.confidence,
            "residual_px": state.residual_px,
            "correction_px": state.size_px,
            "measured": state.measured,
            "accepted": state.accepted,
        }

    def health(self) -> tuple[str, ...]:
        """Return ``registration_failed`` while the estimation process is lost."""
        return ("registration_failed",) if self._scheduler and self._scheduler.failed else ()

    def start(self) -> None:
        """Refine in the background from now on, instead of within ``align``."""
        if self._scheduler:
            self._scheduler.start()

    def close(self) -> None:
        """Stop the refinement."""
        if self._scheduler:
            self._scheduler.close()

    def align(
        self, stamp_ns: int, visible: Frame | None, thermal: ThermalImage | None
    ) -> AlignedPair:
        """Return both images on one grid; at most one of them may be None.

        Without a visible frame the grid is that of the last visible frame, before the first one
        that of the rig's calibration, and without a rig that of the thermal image.

        Raises:
            CalibrationError: The sizes differ and there is neither a rig nor a map that the camera
                declares, or the rig is for images of another shape.
        """
        if visible is not None:
            height, width = visible.image.shape[:2]
            self._visible_size = (width, height)
            # What a camera says of itself comes before what was measured once.
            measured = self._rig.visible if self._rig else None
            self._grid = PixelGrid(visible.frame_id, visible.camera or measured)
        image = visible.image if visible is not None else None
        if thermal is None:
            assert self._visible_size is not None, "one of both images must be given"
            unseen = self._mask(self._visible_size, seen=False)
            return AlignedPair(stamp_ns, image, None, unseen, grid=self._grid)
        height, width = thermal.luminance.shape
        if not self._calibrated:
            self._take_declared((width, height), thermal.from_visible)
        if self._rig is None:
            self._check_same_size((width, height), visible)
        applied = self._current_map((width, height))
        pair = self._warped(stamp_ns, thermal, applied)
        if self._scheduler is None:
            return replace(pair, visible=image, grid=self._grid)
        state = applied.correction
        pair = replace(
            pair,
            visible=image,
            confidence=state.confidence,
            residual_px=state.residual_px,
            grid=self._grid,
        )
        if image is not None and _large_enough(image):
            self._scheduler.submit_pair(pair, applied)
        return self._by_policy(pair)

    def _warped(self, stamp_ns: int, thermal: ThermalImage, applied: AppliedMap) -> AlignedPair:
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
        """Apply ``on_low_confidence`` to a pair of low confidence."""
        policy = self._config.on_low_confidence
        accepted = pair.confidence >= self._config.min_confidence
        if accepted or policy == "keep_last" or pair.visible is None:
            return pair
        if policy == "soften":
            return replace(pair, thermal=_low_passed(pair))
        size = pair.valid.shape[1], pair.valid.shape[0]
        return replace(pair, thermal=None, temperature=None, valid=self._mask(size, seen=False))

    def _latest_map(self) -> AppliedMap | None:
        """Return the newest map of the refinement, None without one."""
        return self._scheduler.latest_map if self._scheduler else None

    def _current_map(self, thermal_size: Size) -> AppliedMap:
        """Return the newest map for the present sizes."""
        sizes = (self._visible_size or thermal_size, thermal_size)
        if self._base is None or self._base_sizes != sizes:
            self._base = CalibrationMap(self._rig, *sizes, self._config.range_px)
            self._base_sizes = sizes
        latest = self._latest_map()
        if latest is not None and latest.base is self._base:
            return latest
        return AppliedMap.uncorrected(self._base)

    def _take_declared(self, thermal_size: Size, from_visible: Matrix | None) -> None:
        """Without a calibration, take the map that the camera declares for its two pictures."""
        if from_visible is None or self._visible_size is None:
            self._rig = None
            return
        known = self._rig.homography if self._rig is not None else None
        if known is None or not np.array_equal(known, from_visible):
            self._rig = Rig(self._visible_size, thermal_size, homography=from_visible)
            self._base = None

    def _check_same_size(self, thermal_size: Size, visible: Frame | None) -> None:
        """Raise when unregistered images reach a pipeline that has no calibration."""
        if visible is None:
            self._visible_size = thermal_size
        elif self._visible_size != thermal_size:
            shown = "x".join(map(str, self._visible_size or ()))
            raise CalibrationError(
                f"visible frames are {shown}, thermal frames {thermal_size[0]}x{thermal_size[1]}: "
                "without a calibration both must have the same size; set 'calibration' to a rig "
                "file, which 'fusion calibrate' makes, or thermal.crop where only a part of the "
                "picture is the thermal image"
            )

    def _mask(self, size: Size, *, seen: bool) -> Mask:
        """Return a mask of one value, kept while the size stays the same."""
        mask = self._masks.get(seen)
        if mask is None or mask.shape != (size[1], size[0]):
            mask = self._masks[seen] = np.full((size[1], size[0]), seen)
        return mask


def _low_passed(pair: AlignedPair) -> FloatImage:
    """Return the thermal image without fine detail, computed from valid pixels only."""
    assert pair.thermal is not None
    sigma = _LOW_PASS * pair.thermal.shape[1]
    share = cv2.GaussianBlur(pair.valid.astype(np.float32), (0, 0), sigma)
    blurred = cv2.GaussianBlur(pair.thermal, (0, 0), sigma) / np.maximum(share, 1e-3)
    return np.asarray(np.where(pair.valid, blurred, 0), np.float32)


def _large_enough(image: UInt8Image) -> bool:
    """Return whether a visible image is large enough for registration."""
    size = (image.shape[1], image.shape[0])
    return min(reduced_size(size, work_factor(size))) >= SMALLEST
