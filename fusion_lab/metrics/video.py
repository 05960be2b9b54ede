"""The two temporal measures of VF-Bench (Zhao et al., NeurIPS 2025) for a fused video.

Their definitions are followed but for the optical flow: DIS (Kroeger et al. 2016) on luma stands in
for SEA-RAFT. Compare values of one flow only.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from fusion_core.types import FloatImage, UInt8Image
from fusion_lab.metrics.images import check_same_grid, to_gray

# Forward and backward flow of a point that is seen in both frames differ by less, in pixels.
_CONSISTENT_PX: Final = 1.0
_CLIP: Final = 3


@dataclass(frozen=True, slots=True)
class VideoResult:
    """Means over all frames that have a neighbour on both sides; nan without any.

    Attributes:
        frames: Frames that were measured.
        biswe: Bi-directional self-warping error in gray levels: mean absolute difference between a
            fused frame and its predecessor, moved along the flow between the two, plus the same
            for its successor; pixels that the flows of both sources show in both frames.
        ms2r: Motion smoothness against both sources in pixels: mean absolute difference between
            the change of the fused video's flow from frame to frame and that of a source, mean of
            both sources.
    """

    frames: int
    biswe: float
    ms2r: float


class VideoMeter:
    """Measures a fused video frame by frame."""

    def __init__(self) -> None:
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._clip: deque[tuple[UInt8Image, tuple[UInt8Image, ...]]] = deque(maxlen=_CLIP)
        self._errors: list[float] = []
        self._unsmooth: list[float] = []

    def update(self, fused: UInt8Image, first: UInt8Image, second: UInt8Image) -> None:
        """Take the next frame of the fused video and of both sources.

        Args:
            fused: ``HxW`` uint8 gray or ``HxWx3`` uint8 RGB.
            first: The same for one source.
            second: The same for the other.

        Raises:
            EncodingError: The images are not 8-bit, or differ in size.
        """
        grays = tuple(np.ascontiguousarray(to_gray(each)) for each in (fused, first, second))
        check_same_grid(dict(zip(("fused", "first source", "second source"), grays, strict=True)))
        if self._clip and self._clip[-1][1][0].shape != grays[0].shape:
            self._clip.clear()
        self._clip.append((fused, grays))
        if len(self._clip) == _CLIP:
            self._errors.append(self._self_warping_error())
            self._unsmooth.append(self._unsmoothness())

    def result(self) -> VideoResult:
        """Return the means over all frames so far."""
        if not self._errors:
            return VideoResult(0, float("nan"), float("nan"))
        return VideoResult(
            len(self._errors), float(np.mean(self._errors)), float(np.mean(self._unsmooth))
        )

    def _self_warping_error(self) -> float:
        now, grays = self._clip[1]
        total = 0.0
        for picture, neighbours in (self._clip[0], self._clip[2]):
            flow = self._between(grays[0], neighbours[0])
            seen = np.logical_and.reduce([self._seen(grays[n], neighbours[n]) for n in (1, 2)])
            moved = _moved(picture.astype(np.float32), flow)
            difference = np.abs(now.astype(np.float32) - moved).reshape(*seen.shape, -1).mean(2)
            total += float((difference * seen).sum() / (seen.sum() + 1e-10))
        return total

    def _unsmoothness(self) -> float:
        before, now, after = (grays for _, grays in self._clip)
        turns = [
            self._between(now[n], after[n]) - self._between(before[n], now[n]) for n in range(3)
        ]
        return float(np.mean([np.abs(turns[0] - turns[n]).mean() for n in (1, 2)]))

    def _seen(self, here: UInt8Image, there: UInt8Image) -> FloatImage:
        forth, back = self._between(here, there), self._between(there, here)
        apart = np.linalg.norm(forth + _moved(back, forth), axis=2)
        return np.asarray(apart < _CONSISTENT_PX, np.float32)

    def _between(self, here: UInt8Image, there: UInt8Image) -> FloatImage:
        start = np.zeros((*here.shape, 2), np.float32)
        return np.asarray(self._flow.calc(here, there, start), np.float32)


def _moved(values: FloatImage, flow: FloatImage) -> FloatImage:
    """Return at each pixel the values where the flow leads."""
    height, width = flow.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return np.asarray(
        cv2.remap(values, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR), np.float32
    )
