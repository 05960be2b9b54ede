"""A calibration as one page: what was seen, what remains unexplained, and how the images meet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from fusion_core.calibration.figures import (
    draw_coverage,
    draw_errors,
    draw_residuals,
    draw_time_offset,
)
from fusion_core.calibration.intrinsics import Intrinsics, pose_of
from fusion_core.calibration.recording import GrayFrames, TargetTrack, TargetView, select_frames
from fusion_core.calibration.scene import SceneSample
from fusion_core.calibration.solve import Calibration
from fusion_core.calibration.time_offset import TimeOffset
from fusion_core.errors import CalibrationError
from fusion_core.registration import Rig
from fusion_core.registration.warp import Warp
from fusion_core.runtime.files import atomic_path
from fusion_core.sink import page
from fusion_core.types import Modality, UInt8Image

_SHOWN: Final = 3
_WIDTH_PX: Final = 560
_TILES: Final = 8
_DOT: Final = (255, 170, 0)


@dataclass(frozen=True, eq=False)
class PictureRow:
    """One moment on the page.

    Attributes:
        title: Its heading.
        pictures: Caption -> picture.
    """

    title: str
    pictures: Mapping[str, UInt8Image]


def write_page(
    path: Path, rig: Rig, moments: Sequence[PictureRow], plots: Mapping[str, str]
) -> None:
    """Write the page.

    Raises:
        CalibrationError: The file cannot be written.
    """
    body: list[str] = ["<header><h1>Calibration report</h1>"]
    record = rig.calibration
    body.append(f"<p>{record.get('method', '')}, {record.get('date', '')}</p>")
    body += [*page.cards(_headlines(rig)), "</header>"]
    if moments:
        body.append("<h2>Before and after</h2>")
    for moment in moments:
        body += page.moment(moment.title, moment.pictures, moment.title)
    body += page.plots(plots)
    body += page.table("Rig", ["key", "value"], [[key, text] for key, text in _rows(rig)])
    try:
        with atomic_path(path) as temporary:
            temporary.write_text(page.document("Calibration report", body), encoding="utf-8")
    except OSError as error:
        raise CalibrationError(f"{path}: cannot be written ({error.strerror})") from None


def board_plots(calibration: Calibration, tracks: Mapping[Modality, TargetTrack]) -> dict[str, str]:
    """Return title -> SVG of what a board calibration measured."""
    plots = {}
    sides: list[tuple[Modality, Intrinsics]] = [
        ("visible", calibration.visible),
        ("thermal", calibration.thermal),
    ]
    for modality, camera in sides:
        plots[f"Detected points, {modality}"] = draw_coverage(tracks[modality], camera)
    for modality, camera in sides:
        plots[f"Residuals, {modality}"] = draw_residuals(modality, camera)
    plots["Error per pair after the pose"] = draw_errors(calibration.pose)
    if calibration.time_offset is not None:
        plots.update(time_offset_plots(calibration.time_offset))
    return plots


def time_offset_plots(clock: TimeOffset) -> dict[str, str]:
    """Return title -> SVG of how the time offset was found."""
    return {"Time offset": draw_time_offset(clock)}


def board_moments(
    calibration: Calibration, tracks: Mapping[Modality, TargetTrack], frames: GrayFrames, rig: Rig
) -> list[PictureRow]:
    """Return some of the pairs as pictures.

    Args:
        calibration: What was found.
        tracks: What each camera saw.
        frames: The recording from its start, from ``gray_frames``.
        rig: The result.
    """
    chosen = _chosen_pairs(calibration, tracks["visible"])
    keys: list[tuple[Modality, int]] = []
    for visible, thermal in chosen:
        keys += [("visible", visible.stamp_ns), ("thermal", thermal.stamp_ns)]
    taken = select_frames(frames, set(keys))
    start = min(stamp for track in tracks.values() for stamp in track.stamps)
    moments = []
    for visible, thermal in chosen:
        picture, _ = taken["visible", visible.stamp_ns]
        _, gray = taken["thermal", thermal.stamp_ns]
        pose = pose_of(calibration.target, visible, calibration.visible.camera)
        middle = calibration.target.points.mean(axis=0)
        depth = float(pose[2] @ (*middle, 0.0, 1.0))
        pictures = {
            "visible, points found": _dotted(picture.image, visible),
            "thermal, points found": _dotted(gray, thermal),
            **blends(picture.image, gray, rig, depth),
        }
        seconds = (thermal.stamp_ns - start) / 1e9
        moments.append(PictureRow(f"{seconds:.2f} s, board at {depth:.2f} m", pictures))
    return moments


def scene_moments(moments: Sequence[SceneSample], rig: Rig) -> list[PictureRow]:
    """Return some moments of a recording as pictures."""
    chosen = moments[:: max(1, len(moments) // _SHOWN)][:_SHOWN]
    shown = []
    for number, moment in enumerate(chosen, start=1):
        pictures = {
            "visible": _small(moment.colour)[0],
            "thermal": _small(moment.thermal)[0],
            **blends(moment.colour, moment.thermal, rig),
        }
        shown.append(PictureRow(f"Moment {number}", pictures))
    return shown


def blends(
    visible: UInt8Image, thermal: UInt8Image, rig: Rig, depth_m: float | None = None
) -> dict[str, UInt8Image]:
    """Return both images as a chequerboard, before and after the calibration.

    Args:
        visible: ``HxWx3`` RGB.
        thermal: ``HxW`` as shown.
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
        "before: thermal stretched to the picture": _tiled(visible, before),
        "after: thermal through the rig": _tiled(visible, np.asarray(after, np.uint8)),
    }


def _headlines(rig: Rig) -> Iterator[tuple[str, str]]:
    record: Mapping[str, Any] = rig.calibration
    for modality in ("visible", "thermal"):
        if modality in record:
            yield f"{modality} RMS (px)", f"{record[modality]['rms_px']:.3f}"
    if "pose" in record:
        yield "pose RMS (px)", f"{record['pose']['rms_px']:.3f}"
    if rig.t_thermal_rgb is not None:
        yield "baseline (mm)", f"{1e3 * float(np.linalg.norm(rig.t_thermal_rgb[:3, 3])):.1f}"
    if "spread_px" in record:
        yield "disagreement of moments (px)", f"{record['spread_px']:.2f}"
    yield "thermal time offset (ms)", f"{rig.thermal_offset_ms:+.2f}"


def _rows(rig: Rig) -> Iterator[tuple[str, str]]:
    """Yield every value of the rig file."""

    def flat(value: Any, key: str) -> Iterator[tuple[str, str]]:  # noqa: ANN401
        if isinstance(value, Mapping):
            for name, inner in value.items():
                yield from flat(inner, f"{key}.{name}" if key else str(name))
        else:
            yield key, _digits(value)

    yield from flat(rig.to_mapping(), "")


def _digits(value: Any) -> str:  # noqa: ANN401
    """Return numbers with six digits, rows of a matrix apart."""
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_digits(entry) for entry in value) + "]"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _chosen_pairs(
    calibration: Calibration, visible: TargetTrack
) -> list[tuple[TargetView, TargetView]]:
    """Return pairs whose visible picture was taken at nearly the same time, spread over time."""
    stamps = np.array([view.stamp_ns for view in visible.views])
    rated = []
    for seen, thermal in calibration.pose.pairs:
        index = int(np.argmin(np.abs(stamps - seen.stamp_ns)))
        rated.append((abs(int(stamps[index]) - seen.stamp_ns), visible.views[index], thermal))
    groups = np.array_split(np.arange(len(rated)), min(_SHOWN, len(rated)))
    best = [min((rated[i] for i in group), key=lambda entry: entry[0]) for group in groups]
    return [(view, thermal) for _, view, thermal in best]


def _dotted(image: UInt8Image, view: TargetView) -> UInt8Image:
    """Return a small copy with the points that were found."""
    small, scale = _small(image)
    canvas = cv2.cvtColor(small, cv2.COLOR_GRAY2RGB) if small.ndim == 2 else small.copy()
    for x, y in view.pixels * scale:
        cv2.circle(canvas, (round(float(x)), round(float(y))), 3, _DOT, 1, cv2.LINE_AA)
    return np.asarray(canvas, np.uint8)


def _tiled(visible: UInt8Image, thermal: UInt8Image) -> UInt8Image:
    """Return squares of the visible and the thermal image by turns, small."""
    y, x = np.indices(thermal.shape) * _TILES // max(thermal.shape)
    tiles = np.where(((x + y) % 2 == 0)[..., None], visible, thermal[..., None])
    return _small(np.asarray(tiles, np.uint8))[0]


def _small(image: UInt8Image) -> tuple[UInt8Image, float]:
    scale = min(1.0, _WIDTH_PX / image.shape[1])
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8), scale
