"""Temporal stability of a fused stream beside that of its sources."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from fusion_core.types import FloatImage, Mask, UInt8Image
from fusion_lab.metrics.images import FloatArray, check_same_grid, to_gray

_CELL = 32
_STATIC_CHANGE = 1.5


@dataclass(frozen=True, slots=True)
class PerStream:
    """One quantity for the fused stream and for both sources.

    Attributes:
        fused: Value of the fused stream.
        visible: Value of the visible stream.
        thermal: Value of the thermal stream.
    """

    fused: float
    visible: float
    thermal: float

    @property
    def ratio(self) -> float:
        """Fused value over the larger source value; above 1: less stable than either source."""
        worst = max(self.visible, self.thermal)
        return self.fused / worst if worst > 0 else float("nan")


@dataclass(frozen=True, slots=True)
class TemporalResult:
    """Stability over all frames given to a ``TemporalMeter``.

    Attributes:
        frames: Number of frames.
        warping_error: RMS difference in gray levels between a frame and its predecessor moved
            along the optical flow, pixels seen in both, mean over frames.
        flicker: Standard deviation over time and place of the frame-to-frame change of mean luma
            in gray levels, cells static in both sources; nan when nothing was static.
        static_share: Share of cells and frames that were static in both sources.
    """

    frames: int
    warping_error: PerStream
    flicker: PerStream
    static_share: float


class TemporalMeter:
    """Measures warping error and flicker of a fused stream, frame by frame.

    The warping error follows Lai et al. 2018 (section 4.2, occlusions by the forward-backward
    check of Sundaram et al. 2010), with two changes: the flow (DIS, Kroeger et al. 2016) is found
    on the mean of both sources, so that all three streams are moved by the same flow, and the
    error is an RMS in gray levels.
    """

    def __init__(self) -> None:
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._previous: tuple[UInt8Image, ...] | None = None
        self._frames = 0
        self._errors: list[tuple[float, ...]] = []
        self._changes: list[FloatArray] = []
        self._cells = 0

    def update(self, fused: UInt8Image, visible: UInt8Image, thermal: UInt8Image) -> None:
        """Take the next frame.

        Args:
            fused: ``HxW`` uint8 gray or ``HxWx3`` uint8 RGB.
            visible: The same for the visible source.
            thermal: The same for the thermal source.

        Raises:
            EncodingError: The images are not 8-bit, or differ in size, or the stream changed size.
        """
        streams = (to_gray(fused), to_gray(visible), to_gray(thermal))
        images = dict(zip(("fused", "visible", "thermal"), streams, strict=True))
        check_same_grid(images)
        if self._previous is not None:
            check_same_grid({**images, "the frame before": self._previous[0]})
            self._add_warping_error(self._previous, streams)
            self._add_changes(self._previous, streams)
        self._previous = streams
        self._frames += 1

    def result(self) -> TemporalResult:
        """Return the values over all frames so far; nan before the second frame."""
        errors = np.array(self._errors).reshape(-1, 3)
        seen = errors[np.isfinite(errors).all(axis=1)]
        changes = np.concatenate([np.empty((0, 3)), *self._changes])
        nothing = np.full(3, np.nan)
        return TemporalResult(
            frames=self._frames,
            warping_error=_per_stream(seen.mean(axis=0) if len(seen) else nothing),
            flicker=_per_stream(changes.std(axis=0) if len(changes) else nothing),
            static_share=len(changes) / self._cells if self._cells else float("nan"),
        )

    def _add_warping_error(
        self, previous: tuple[UInt8Image, ...], current: tuple[UInt8Image, ...]
    ) -> None:
        before, now = _mix(previous), _mix(current)
        still = np.zeros((*now.shape, 2), dtype=np.float32)
        backward = np.asarray(self._flow.calc(now, before, still.copy()), dtype=np.float32)
        forward = np.asarray(self._flow.calc(before, now, still.copy()), dtype=np.float32)
        grid = _grid(now.shape) + backward
        seen = _seen_in_both(backward, forward, grid)
        errors = []
        for old, new in zip(previous, current, strict=True):
            moved = _sample(old.astype(np.float32), grid)
            difference = (new - moved)[seen]
            errors.append(float(np.sqrt(np.mean(difference**2))) if seen.any() else np.nan)
        self._errors.append(tuple(errors))

    def _add_changes(
        self, previous: tuple[UInt8Image, ...], current: tuple[UInt8Image, ...]
    ) -> None:
        changes = [new.astype(np.float32) - old for old, new in zip(previous, current, strict=True)]
        # Blurred first, so that sensor noise does not count as motion.
        motion = [
            _cell_mean(np.abs(np.asarray(cv2.GaussianBlur(c, (0, 0), 2.0), dtype=np.float32)))
            for c in changes[1:]
        ]
        static = np.maximum(motion[0], motion[1]) <= _STATIC_CHANGE
        self._changes.append(np.stack([_cell_mean(c)[static] for c in changes], axis=1))
        self._cells += static.size


def _per_stream(values: FloatArray) -> PerStream:
    return PerStream(float(values[0]), float(values[1]), float(values[2]))


def _mix(streams: tuple[UInt8Image, ...]) -> UInt8Image:
    return np.asarray(cv2.addWeighted(streams[1], 0.5, streams[2], 0.5, 0), dtype=np.uint8)


def _sample(values: FloatImage, grid: FloatImage) -> FloatImage:
    sampled = cv2.remap(values, grid[..., 0], grid[..., 1], cv2.INTER_LINEAR)
    return np.asarray(sampled, dtype=np.float32)


def _grid(shape: tuple[int, ...]) -> FloatImage:
    x, y = np.meshgrid(np.arange(shape[1]), np.arange(shape[0]))
    return np.stack([x, y], axis=-1).astype(np.float32)


def _seen_in_both(backward: FloatImage, forward: FloatImage, grid: FloatImage) -> Mask:
    """Return where going back and forth ends near the start, and stays inside the image."""
    height, width = backward.shape[:2]
    returned = _sample(forward, grid)
    gap = np.sum((backward + returned) ** 2, axis=-1)
    length = np.sum(backward**2, axis=-1) + np.sum(returned**2, axis=-1)
    inside = (grid[..., 0] >= 0) & (grid[..., 0] <= width - 1)
    inside &= (grid[..., 1] >= 0) & (grid[..., 1] <= height - 1)
    return np.asarray(inside & (gap <= 0.01 * length + 0.5))


def _cell_mean(values: FloatImage) -> FloatArray:
    """Return the mean of each 32x32 cell; a smaller image is one cell, cut cells are left out."""
    rows, columns = values.shape[0] // _CELL, values.shape[1] // _CELL
    if rows == 0 or columns == 0:
        return np.full((1, 1), values.mean(), dtype=np.float64)
    whole = values[: rows * _CELL, : columns * _CELL].astype(np.float64)
    return np.asarray(whole.reshape(rows, _CELL, columns, _CELL).mean(axis=(1, 3)))
