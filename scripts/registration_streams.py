"""Follow a misalignment through registered videos whose thermal pictures are moved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import av
import cv2
import numpy as np
from registration_pairs import Array, grid_of

from fusion_core.registration import Registrar, RegistrationConfig
from fusion_core.types import Frame, ThermalImage


def frames_of(folder: Path, limit: int | None) -> Iterator[tuple[Array, Array]]:
    streams = (av.open(str(folder / f"{name}.mp4")).decode(video=0) for name in ("vi", "ir"))
    for number, (visible, thermal) in enumerate(zip(*streams, strict=False)):
        if number == limit:
            return
        yield visible.to_ndarray(format="rgb24"), thermal.to_ndarray(format="gray")


def follow(
    folder: Path, shift_at: Callable[[float], tuple[float, float]], limit: int | None = None
) -> Array:
    """Return per frame: error in pixels, correction at the centre, confidence."""
    registrar, rows = Registrar(None, RegistrationConfig(refine="on")), []
    matrix = np.eye(3)
    for number, (visible, thermal) in enumerate(frames_of(folder, limit)):
        height, width = thermal.shape
        shift = np.array(shift_at(number / 30), np.float64)
        move = np.array([[1, 0, shift[0]], [0, 1, shift[1]]])
        moved = cv2.warpAffine(thermal, move, (width, height), borderMode=cv2.BORDER_REPLICATE)
        image = ThermalImage(moved.astype(np.float32) / 255, None)
        stamp_ns = round(number * 1e9 / 30)
        pair = registrar.align(stamp_ns, Frame(stamp_ns, "visible", visible, "rgb8"), image)
        places = grid_of((height, width))[16::32, 16::32].astype(np.float64)
        error = np.linalg.norm(cv2.perspectiveTransform(places, matrix) - places - shift, axis=2)
        centre = cv2.perspectiveTransform(np.array([[[width / 2, height / 2]]]), matrix)[0, 0]
        rows.append((error.mean(), *centre, pair.confidence))
        matrix = registrar.correction
    return np.array(rows)


def streams(data: Path) -> None:
    """Registered video as it is, with 0.5 px/s of drift, and with a step of 8 px after 4 s."""
    cases = {
        "as recorded": lambda _: (0, 0),
        "drift 0.5 px/s": lambda t: (0.4 * t, 0.3 * t),
        "step of 8 px": lambda t: (0, 0) if t < 4 else (6.4, -4.8),
    }
    print(f"{'video':14s}{'case':16s}{'mean':>7s}{'p95':>7s}{'worst':>7s}{'step':>7s}{'conf':>7s}")
    for video in sorted(path.name for path in (data / "video").iterdir() if path.is_dir()):
        for case, shift_at in cases.items():
            rows = follow(data / "video" / video, shift_at)
            step = np.linalg.norm(np.diff(rows[:, 1:3], axis=0), axis=1).max()
            line = (rows[:, 0].mean(), np.percentile(rows[:, 0], 95), rows[:, 0].max(), step)
            print(f"{video:14s}{case:16s}", "".join(f"{value:7.2f}" for value in line), end="")
            print(f"{rows[:, 3].mean():7.2f}", flush=True)
            if case.startswith("step"):
                late = np.flatnonzero(rows[120:, 0] < 1.5)
                print("   within 1.5 px after", late[0] / 30 if len(late) else "never", "s")
