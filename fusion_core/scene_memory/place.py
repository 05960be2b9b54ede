"""One remembered place: its clearest view so far, and how old that is."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.scene_memory.detail import (
    Comparison,
    Detail,
    as_float,
    average,
    blurred,
    detail_of,
)
from fusion_core.scene_memory.matching import Shift, ThermalMatcher, detail_lost, thermal_change
from fusion_core.types import FloatImage, Mask, UInt8Image

_NS: Final = 1_000_000_000
REDUCED_WIDTH: Final = 320
# A view is learned where nothing has moved for so many looks.
_SETTLED: Final = 4
_STEADY_LUMA: Final = 6.0
_RATE: Final = 0.25
# Contrast, relative to the clearest so far, from which the present view is as good.
_AS_CLEAR: Final = 0.8
_FORGET: Final = 2e-4
_THERMAL_STEP: Final = 0.01
# Transmission below which the present is called hidden, and above which it is not.
_HIDDEN, _SEEN = 0.35, 0.75
_CONFIRMED: Final = 0.6
# Change of the thermal image, of its range, at which something else is there.
_SAME, _OTHER = 0.02, 0.05
# Unexplained detail in grey levels at which the present shows something of its own.
_OWN_DETAIL: Final = 5.0
_EDGE_SHARE: Final = 0.4
# Share of the picture with detail of its own from which the camera does not see what is remembered:
# it drives. Standing cameras in smoke have up to 0.05, driving ones 0.06 to 0.35.
_OTHER_VIEW: Final = 0.06
_RISE: Final = 0.3
# Energy of detail in grey levels squared that a clear view shows, and the widest part without it.
_TEXTURED: Final = 4.0
_GAP: Final = 61
# Smallest share of the picture that a veil covers.
_SMALLEST: Final = 0.005


def reduced(image: NDArray[Any]) -> FloatImage:
    """Return an image as float32 at the scale of the statistics, about 320 pixels wide."""
    scale = max(1, round(image.shape[1] / REDUCED_WIDTH))
    size = image.shape[1] // scale, image.shape[0] // scale
    result: FloatImage = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    return result


@dataclass(frozen=True, slots=True)
class Look:
    """What one pair shows of a place.

    Attributes:
        weight: Weight of the memory, ``hxw`` in [0, 1]: where the present hides what it has.
        detail: Detail of the visible image.
        change: Change of the thermal image, ``hxw``, of its range.
    """

    weight: FloatImage
    detail: Detail
    change: FloatImage


class Place:
    """A view of a place, learned while it is seen and recalled while it is hidden.

    Args:
        visible: ``HxWx3`` uint8 RGB.
        thermal: ``hxw`` float32 in [0, 1], reduced.
        seen_ns: When each pixel was last seen, ``hxw`` int64 in nanoseconds.
        last_ns: When the place was last visited, in nanoseconds.
        saved_at: Time of day at which it was saved, in seconds, of a place from a file; stamps
            since then say nothing of its age until it is resumed.
    """

    def __init__(
        self,
        visible: UInt8Image,
        thermal: FloatImage,
        seen_ns: NDArray[np.int64],
        last_ns: int,
        saved_at: float | None = None,
    ) -> None:
        self._saved_at = saved_at
        self.visible = visible.copy()
        self.thermal = thermal.copy()
        self.seen_ns = seen_ns
        self.last_ns = last_ns
        self._detail = detail_of(reduced_luma(self.visible))
        self._contrast = self._detail.contrast
        self._clear = clear_view(self._detail)
        self._steady = self._detail.luma.copy()
        self._settled = np.zeros(thermal.shape, np.int32)
        self._weight = np.zeros(thermal.shape, np.float32)
        self._matcher = ThermalMatcher(thermal.shape)

    @classmethod
    def first_view(cls, visible: UInt8Image, thermal: FloatImage, stamp_ns: int) -> Place:
        """Return a place that was just found."""
        return cls(visible, thermal, np.full(thermal.shape, stamp_ns, np.int64), stamp_ns)

    def shift_to(self, thermal: FloatImage) -> Shift | None:
        """Return by how many reduced pixels the view has moved, None at another place."""
        if thermal.shape != self.thermal.shape:
            return None
        return self._matcher.shift(self.thermal, thermal)

    def resume(self, stamp_ns: int) -> None:
        """Go on at a stamp, older by the time of day that passed since a place was saved."""
        saved_at, self._saved_at = self._saved_at, None
        if saved_at is not None:
            self.rebase(stamp_ns, int(max(0.0, time.time() - saved_at) * _NS))

    def rebase(self, stamp_ns: int, elapsed_ns: int = 0) -> None:
        """Go on at another time: the last visit was ``elapsed_ns`` before ``stamp_ns``."""
        self.seen_ns += stamp_ns - elapsed_ns - self.last_ns
        self.last_ns = stamp_ns - elapsed_ns

    def look(
        self, visible: UInt8Image, thermal: FloatImage, stamp_ns: int, max_age_ns: float
    ) -> Look:
        """Compare a pair with the memory.

        Args:
            visible: ``HxWx3`` uint8 RGB on the grid of the memory.
            thermal: ``hxw`` float32 in [0, 1], likewise.
            stamp_ns: Capture time in nanoseconds.
            max_age_ns: Age at which the memory has faded out, in nanoseconds.
        """
        if stamp_ns < self.last_ns:
            self.rebase(stamp_ns)
        self.last_ns = stamp_ns
        now = detail_of(reduced_luma(visible))
        compared = Comparison.of(now, self._detail)
        share = compared.transmission()
        change = thermal_change(self.thermal, thermal)
        own = compared.unexplained() > _OWN_DETAIL
        if own.mean() > _OTHER_VIEW:
            self._weight = np.zeros_like(self._weight)
            return Look(self._weight, now, change)
        self.seen_ns[(share > _CONFIRMED) & (change < _OTHER)] = stamp_ns
        weight = ramp(share, _SEEN, _HIDDEN) * ramp(change, _OTHER, _SAME) * self._clear
        age = (stamp_ns - self.seen_ns).astype(np.float32)
        weight *= np.clip(1 - age * np.float32(1 / max_age_ns), 0.0, 1.0)
        weight[_contradicted(weight, own) | detail_lost(self.thermal, thermal)] = 0
        weight = blurred(weight, 1.5)
        # It comes in slowly and goes at once.
        self._weight = np.minimum(weight, self._weight + _RISE)
        return Look(self._weight, now, change)

    def learn(self, visible: UInt8Image, thermal: FloatImage, look: Look) -> None:
        """Take over what is seen clearly and has not moved for some frames, ten times a second.

        Args:
            visible: ``HxWx3`` uint8 RGB on the grid of the memory.
            thermal: ``hxw`` float32 in [0, 1], likewise.
            look: What these two show of the place.
        """
        now = look.detail
        steady = np.abs(blurred(now.luma - self._steady, 1.0)) < _STEADY_LUMA
        self._steady += 0.3 * (now.luma - self._steady)
        self._settled = np.where(steady, self._settled + 1, 0)
        contrast = now.contrast
        as_clear = contrast >= _AS_CLEAR * self._contrast
        chosen = (self._settled >= _SETTLED) & as_clear & (look.change < _OTHER)
        if not chosen.any():
            return
        better = chosen & (contrast > 2 * self._contrast)
        rate = np.where(better, 1.0, np.where(chosen, _RATE, 0.0)).astype(np.float32)
        # Without steps: those of the mask would be taken for detail of the scene.
        rate = blurred(rate, 3.0)
        self.visible = blend(self.visible, visible, rate)
        # In small steps, as a running median: who walks by leaves no trace.
        step = np.clip(thermal - self.thermal, -_THERMAL_STEP, _THERMAL_STEP)
        self.thermal += np.where(chosen, step, 0.0).astype(np.float32)
        self._contrast *= 1 - _FORGET
        self._contrast = np.where(chosen, np.maximum(contrast, self._contrast), self._contrast)
        self._detail = detail_of(reduced_luma(self.visible))
        self._clear = clear_view(self._detail)


def _contradicted(weight: FloatImage, own: Mask) -> Mask:
    """Return where the present shows something of its own.

    A veil ends softly. A region that would be recalled and whose outline is mostly an edge the
    memory does not know is an object in front of it, however flat its inside is.
    """
    near = cv2.dilate(own.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    hidden = ((weight > 0.3) & ~near).astype(np.uint8)
    count, labels, figures, _ = cv2.connectedComponentsWithStats(hidden)
    small = figures[:, cv2.CC_STAT_AREA] < _SMALLEST * weight.size
    result: Mask = near | small[labels]
    for label in range(1, count):
        if small[label]:
            continue
        region = (labels == label).astype(np.uint8)
        outline = cv2.dilate(region, np.ones((5, 5), np.uint8)) - region
        edges = near[outline > 0]  # none around a region that fills the picture
        if edges.size and edges.mean() > _EDGE_SHARE:
            result |= region > 0
    return result


def reduced_luma(image: NDArray[Any]) -> FloatImage:
    """Return the luma of an RGB image in grey levels, reduced."""
    return as_float(cv2.cvtColor(reduced(image), cv2.COLOR_RGB2GRAY))


def clear_view(detail: Detail) -> FloatImage:
    """Return where a view is clear, in [0, 1]: wide parts without any detail may be smoke."""
    textured = (detail.energy > _TEXTURED).astype(np.uint8)
    kernel = np.ones((_GAP, _GAP), np.uint8)
    closed = cv2.morphologyEx(textured, cv2.MORPH_CLOSE, kernel, borderType=cv2.BORDER_REPLICATE)
    return ramp(average(closed.astype(np.float32)), 0.4, 0.9)


def blend(first: UInt8Image, second: UInt8Image, weight: FloatImage) -> UInt8Image:
    """Return the first picture with the second at a weight in [0, 1], which may be reduced."""
    size = first.shape[1], first.shape[0]
    full = cv2.resize(weight, size, interpolation=cv2.INTER_LINEAR)
    return cv2.blendLinear(first, second, 1 - full, full).astype(np.uint8, copy=False)


def ramp(value: FloatImage, zero: float, one: float) -> FloatImage:
    """Return a smooth step from 0 at ``zero`` to 1 at ``one``."""
    x = np.clip((value - zero) / (one - zero), 0.0, 1.0)
    result: FloatImage = (x * x * (3 - 2 * x)).astype(np.float32)
    return result
