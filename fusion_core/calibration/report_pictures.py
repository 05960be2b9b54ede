"""The pictures of a calibration report: detected points, and both images combined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import cv2
import numpy as np

from fusion_core.calibration.intrinsics import pose_of
from fusion_core.calibration.recording import GrayFrames, TargetTrack, TargetView, select_frames
from fusion_core.calibration.scene import SceneSample
from fusion_core.calibration.solve import Calibration
from fusion_core.pages import PictureRow
from fusion_core.registration import Rig
from fusion_core.registration.warp import Warp
from fusion_core.types import Modality, UInt8Image

_ROWS: Final = 3
_WIDTH_PX: Final = 640
_TILES: Final = 8
_POINT: Final = (255, 170, 0)


def board_rows(
    calibration: Calibration, tracks: Mapping[Modality, TargetTrack], frames: GrayFrames, rig: Rig
) -> list[PictureRow]:
    """Return some of the pairs as rows of pictures.

    Args:
        calibration: The calibration.
        tracks: Detections of the board by each camera.
        frames: The recording from its start, from ``gray_frames``.
        rig: The result.
    """
    chosen = _chosen_pairs(calibration, tracks["visible"])
    keys: list[tuple[Modality, int]] = []
    for visible, thermal in chosen:
        keys += [("visible", visible.stamp_ns), ("thermal", thermal.stamp_ns)]
    taken = select_frames(frames, set(keys))
    start = min(stamp for track in tracks.values() for stamp in track.stamps)
    rows = []
    for visible, thermal in chosen:
        picture, _ = taken["visible", visible.stamp_ns]
        _, gray = taken["thermal", thermal.stamp_ns]
        pose = pose_of(calibration.target, visible, calibration.visible.camera)
        middle = calibration.target.points.mean(axis=0)
        depth = float(pose[2] @ (*middle, 0.0, 1.0))
        pictures = {
            "visible, detected points": _with_points(picture.image, visible),
            "thermal, detected points": _with_points(gray, thermal),
            **before_and_after(picture.image, gray, rig, depth),
        }
        seconds = (thermal.stamp_ns - start) / 1e9
        rows.append(PictureRow(f"{seconds:.2f} s, board at {depth:.2f} m", pictures))
    return rows


def scene_rows(samples: Sequence[SceneSample], rig: Rig) -> list[PictureRow]:
    """Return some samples of a recording as rows of pictures."""
    chosen = samples[:: max(1, len(samples) // _ROWS)][:_ROWS]
    rows = []
    for number, sample in enumerate(chosen, start=1):
        pictures = {
            "visible": _small(sample.colour)[0],
            "thermal": _small(sample.thermal)[0],
            **before_and_after(sample.colour, sample.thermal, rig),
        }
        rows.append(PictureRow(f"Sample {number}", pictures))
    return rows


def before_and_after(
    visible: UInt8Image, thermal: UInt8Image, rig: Rig, depth_m: float | None = None
) -> dict[str, UInt8Image]:
    """Return both images as a checkerboard, before and after the calibration.

    Args:
        visible: ``HxWx3`` RGB.
        thermal: ``HxW`` gray.
        rig: The calibration.
        depth_m: Distance at which the images shall agree here; the rig's when None.
    """
    height, width = visible.shape[:2]
    before = np.asarray(cv2.resize(thermal, (width, height)), np.uint8)
    if depth_m is not None:
        rig = replace(rig, reference_depth_m=depth_m)
    warp = Warp.build(rig, (width, height), (thermal.shape[1], thermal.shape[0]))
    after = np.rint(warp.apply(thermal.astype(np.float32)))
    return {
        "before: thermal resized to the image": _checkerboard(visible, before),
        "after: thermal through the rig": _checkerboard(visible, np.asarray(after, np.uint8)),
    }


def _chosen_pairs(
    calibration: Calibration, visible: TargetTrack
) -> list[tuple[TargetView, TargetView]]:
    """Return pairs with nearly simultaneous visible images, spread over time."""
    stamps = np.array([view.stamp_ns for view in visible.views])
    rated = []
    for seen, thermal in calibration.pose.pairs:
        index = int(np.argmin(np.abs(stamps - seen.stamp_ns)))
        rated.append((abs(int(stamps[index]) - seen.stamp_ns), visible.views[index], thermal))
    groups = np.array_split(np.arange(len(rated)), min(_ROWS, len(rated)))
    best = [min((rated[i] for i in group), key=lambda entry: entry[0]) for group in groups]
    return [(view, thermal) for _, view, thermal in best]


def _with_points(image: UInt8Image, view: TargetView) -> UInt8Image:
    """Return a small copy with the detected points."""
    small, scale = _small(image)
    canvas = cv2.cvtColor(small, cv2.COLOR_GRAY2RGB) if small.ndim == 2 else small.copy()
    for x, y in view.pixels * scale:
        cv2.circle(canvas, (round(float(x)), round(float(y))), 3, _POINT, 1, cv2.LINE_AA)
    return np.asarray(canvas, np.uint8)


def _checkerboard(visible: UInt8Image, thermal: UInt8Image) -> UInt8Image:
    """Return alternating squares of the visible and the thermal image, small."""
    y, x = np.indices(thermal.shape) * _TILES // max(thermal.shape)
    tiles = np.where(((x + y) % 2 == 0)[..., None], visible, thermal[..., None])
    return _small(np.asarray(tiles, np.uint8))[0]


def _small(image: UInt8Image) -> tuple[UInt8Image, float]:
    scale = min(1.0, _WIDTH_PX / image.shape[1])
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8), scale
