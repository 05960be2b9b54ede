"""How the refinement follows a misalignment that changes over a stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.registration import Registrar, RegistrationConfig
from fusion_core.source import open_source
from fusion_core.types import Frame, FramePair, ThermalImage
from fusion_lab.benches.registration.geometry import Homography, pixel_grid
from fusion_lab.benches.streams import synchronised
from fusion_lab.benches.tables import Table
from fusion_lab.metrics import to_gray

RATE_HZ = 30.0
_STEP_S = 4.0
_SETTLED_PX = 1.5

Shift = Callable[[float], tuple[float, float]]
"""Seconds since the start -> shift of the thermal picture in x and y, in pixels."""

SHIFTS: Mapping[str, Shift] = {
    "as recorded": lambda _: (0.0, 0.0),
    "drift 0.5 px/s": lambda seconds: (0.4 * seconds, 0.3 * seconds),
    "step of 8 px": lambda seconds: (0.0, 0.0) if seconds < _STEP_S else (6.4, -4.8),
}


@dataclass(frozen=True, slots=True)
class StreamErrors:
    """Errors over one stream.

    Attributes:
        stream: Name of the recording.
        shift: Key of ``SHIFTS``.
        mean_px: Mean over the frames of the mean error over the picture.
        p95_px: 95th percentile over the frames.
        worst_px: Largest over the frames.
        largest_step_px: Largest change of the correction at the centre from frame to frame.
        confidence: Mean over the frames.
        settled_s: From the step until the error is below 1.5 px; nan when it never is.
    """

    stream: str
    shift: str
    mean_px: float
    p95_px: float
    worst_px: float
    largest_step_px: float
    confidence: float
    settled_s: float


@dataclass(frozen=True, slots=True)
class _FrameError:
    error_px: float
    centre: NDArray[np.float64]
    confidence: float


def measure_stream(
    name: str, shift: str, pairs: Iterable[FramePair], shift_at: Shift
) -> StreamErrors:
    """Move the thermal pictures of a registered stream and measure what is corrected."""
    frames = _corrected(pairs, shift_at)
    errors = np.array([frame.error_px for frame in frames])
    steps = np.diff([frame.centre for frame in frames], axis=0)
    late = np.flatnonzero(errors[round(_STEP_S * RATE_HZ) :] < _SETTLED_PX)
    return StreamErrors(
        stream=name,
        shift=shift,
        mean_px=float(errors.mean()),
        p95_px=float(np.percentile(errors, 95)),
        worst_px=float(errors.max()),
        largest_step_px=float(np.linalg.norm(steps, axis=1).max()),
        confidence=float(np.mean([frame.confidence for frame in frames])),
        settled_s=float(late[0] / RATE_HZ) if len(late) else float("nan"),
    )


def measure_videos(folders: Sequence[Path]) -> tuple[StreamErrors, ...]:
    """Measure all shifts on folders that hold ``vi.mp4`` and ``ir.mp4``."""
    found = []
    for folder in folders:
        for shift, shift_at in SHIFTS.items():
            with open_source(visible=folder / "vi.mp4", thermal=folder / "ir.mp4") as source:
                found.append(measure_stream(folder.name, shift, synchronised(source), shift_at))
    return tuple(found)


def stream_table(figures: Iterable[StreamErrors]) -> Table:
    """Return one row per stream and shift."""
    head = ("stream", "shift", "mean px", "p95", "worst", "largest step", "confidence")
    rows = tuple(
        (
            row.stream,
            row.shift,
            row.mean_px,
            row.p95_px,
            row.worst_px,
            row.largest_step_px,
            row.confidence,
            row.settled_s,
        )
        for row in figures
    )
    return Table("Streams with refinement", (*head, f"below {_SETTLED_PX} px after s"), rows)


def _corrected(pairs: Iterable[FramePair], shift_at: Shift) -> list[_FrameError]:
    """Register moved pictures frame by frame; each is warped by what was known before it."""
    frames = []
    matrix: Homography = np.eye(3)
    with Registrar(None, RegistrationConfig(refine="on")) as registrar:
        for number, pair in enumerate(pairs):
            if pair.visible is None or pair.thermal is None:
                continue
            shift = np.array(shift_at(number / RATE_HZ), np.float64)
            moved = _moved(pair.thermal, shift)
            stamp_ns = round(number * 1e9 / RATE_HZ)
            visible = Frame(stamp_ns, "visible", pair.visible.image, "rgb8")
            aligned = registrar.align(stamp_ns, visible, ThermalImage(moved, None))
            height, width = moved.shape
            places = pixel_grid(moved.shape)[16::32, 16::32].astype(np.float64)
            moves = cv2.perspectiveTransform(places, matrix) - places - shift
            middle = np.array([[[width / 2, height / 2]]])
            frames.append(
                _FrameError(
                    float(np.linalg.norm(moves, axis=2).mean()),
                    cv2.perspectiveTransform(middle, matrix)[0, 0],
                    aligned.confidence,
                )
            )
            matrix = registrar.correction
    return frames


def _moved(thermal: Frame, shift: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return a shifted thermal picture in [0, 1]."""
    gray = to_gray(thermal.image).astype(np.float32) / np.float32(255)
    matrix = np.array([[1, 0, shift[0]], [0, 1, shift[1]]])
    size = (gray.shape[1], gray.shape[0])
    moved = cv2.warpAffine(gray, matrix, size, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.float32)
