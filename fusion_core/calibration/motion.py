"""Time offset between the cameras from motion in the scene or of the rig, without a board.

Both cameras see the same scene, so a change in one part of the visible image coincides with a
change in about the same part of the thermal image, whatever its appearance. The changes between
successive images, over a grid of cells, are correlated over time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.calibration.correlation import Lag, Signal, best_lag
from fusion_core.calibration.recording import GrayFrames
from fusion_core.calibration.time_offset import TimeOffset
from fusion_core.errors import CalibrationError
from fusion_core.types import Modality, UInt8Image

LARGEST_OFFSET_MS: Final = 1000.0
_SMALL: Final = (160, 120)
_CELLS: Final = (8, 6)
_BLUR_PX: Final = 1.2
_SLOW_FRAMES: Final = 10  # slower changes are not motion
_FLOOR: Final = 0.5  # of the typical cell's deviation: quiet cells contain noise
_LEAST_SCORE: Final = 0.1
_MOST_SECOND: Final = 0.85  # of the best correlation
_PARTS: Final = 4
_MOST_DEVIATION_MS: Final = 10.0
_LEAST_FRAMES: Final = 40

Sizes = dict[Modality, tuple[int, int]]


def motion_offset(
    frames: GrayFrames, on_frame: Callable[[], object] = lambda: None
) -> tuple[TimeOffset, Sizes]:
    """Measure the time offset from the motion in a recording; return it with the image sizes.

    The deviation is that of the offsets of four parts of the recording from that of the whole.

    Args:
        frames: From ``gray_frames``.
        on_frame: Called after every frame.

    Raises:
        CalibrationError: Too few frames, or their motion does not determine the offset.
    """
    energies: dict[Modality, list[NDArray[np.float32]]] = {"visible": [], "thermal": []}
    stamps: dict[Modality, list[int]] = {"visible": [], "thermal": []}
    before: dict[Modality, tuple[int, NDArray[np.float32]]] = {}
    sizes: Sizes = {}
    for frame, gray in frames:
        modality = frame.modality
        sizes[modality] = (gray.shape[1], gray.shape[0])
        now = (frame.stamp_ns, _normal(gray))
        if modality in before:
            last_ns, last = before[modality]
            change = cv2.absdiff(now[1], last)
            cells = cv2.resize(change, _CELLS, interpolation=cv2.INTER_AREA)
            energies[modality].append(np.asarray(cells, np.float32).ravel())
            stamps[modality].append((now[0] + last_ns) // 2)
        before[modality] = now
        on_frame()
    for modality, count in ((name, len(times)) for name, times in stamps.items()):
        if count < _LEAST_FRAMES:
            raise CalibrationError(
                f"{modality}: {count + 1} frames are too few to measure the time offset from "
                f"motion (at least {_LEAST_FRAMES + 1}); give a longer recording"
            )
    visible, thermal = (
        (np.array(stamps[name], dtype=np.int64), _detrended(np.array(energies[name])))
        for name in ("visible", "thermal")
    )
    return _measured(visible, thermal), sizes


def _measured(visible: Signal, thermal: Signal) -> TimeOffset:
    """Return the offset of two signals."""
    lag = best_lag(visible, thermal, LARGEST_OFFSET_MS * 1e6)
    if lag is None or lag.score < _LEAST_SCORE or lag.second > _MOST_SECOND * lag.score:
        found = "no motion" if lag is None else f"correlation {lag.score:.2f}"
        raise CalibrationError(
            f"the motion in both streams does not match at any one offset up to "
            f"{LARGEST_OFFSET_MS:g} ms ({found}, at other offsets "
            f"{0.0 if lag is None else lag.second:.2f}): record an object that both cameras see "
            "moving back and forth, or a moving board with --target"
        )
    parts = [_part_lag(visible, thermal, lag, part) for part in range(_PARTS)]
    errors = [part - lag.lag_ns for part in parts if part is not None]
    deviation = float(np.sqrt(np.mean(np.square(errors)) / max(len(errors), 1))) / 1e6
    if not (len(errors) > 1 and deviation <= _MOST_DEVIATION_MS):
        raise CalibrationError(
            f"the time offset differs between parts of the recording, {lag.lag_ns / 1e6:.1f} ms "
            f"with a deviation of {deviation:.1f} ms (limit {_MOST_DEVIATION_MS:g}); record more "
            "motion that both cameras see, or a moving board with --target"
        )
    return TimeOffset(float(lag.lag_ns) / 1e6, deviation, "motion", lag)


def _part_lag(visible: Signal, thermal: Signal, whole: Lag, part: int) -> float | None:
    """Return the offset of a part of the recording within 0.2 s of the whole's."""
    stamps, values = visible
    edges = np.linspace(stamps[0], stamps[-1], _PARTS + 1)
    inside = (stamps >= edges[part]) & (stamps <= edges[part + 1])
    if inside.sum() < _LEAST_FRAMES // 2:
        return None
    moved = thermal[0] + round(whole.lag_ns)
    lag = best_lag((stamps[inside], values[inside]), (moved, thermal[1]), 2e8)
    return None if lag is None else lag.lag_ns + whole.lag_ns


def _normal(gray: UInt8Image) -> NDArray[np.float32]:
    """Return a small image with zero mean and unit contrast."""
    small = cv2.resize(gray, _SMALL, interpolation=cv2.INTER_AREA).astype(np.float32)
    smooth = np.asarray(cv2.GaussianBlur(small, (0, 0), _BLUR_PX), np.float32)
    return np.asarray((smooth - smooth.mean()) / (smooth.std() + 1), np.float32)


def _detrended(cells: NDArray[np.float32]) -> NDArray[np.complex128]:
    """Return high-pass filtered changes ``NxC`` per cell, with about equal weights."""
    reach = 2 * 2 * _SLOW_FRAMES + 1
    slow = cv2.GaussianBlur(cells, (1, reach), sigmaX=0.1, sigmaY=_SLOW_FRAMES)
    quick = cells - np.asarray(slow)
    spread = quick.std(axis=0)
    typical = np.sqrt((spread**2).mean())
    return np.asarray(quick / (spread + _FLOOR * typical + 1e-9), dtype=np.complex128)
