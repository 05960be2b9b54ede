"""A recording of a board, read once: where each camera saw the board, and when."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.calibration.target_detector import TargetDetector
from fusion_core.calibration.targets import Points, Target
from fusion_core.errors import CalibrationError, UsageError
from fusion_core.source import Source
from fusion_core.thermal import ThermalConfig, ThermalProcessor
from fusion_core.thermal.crop import crop_frame
from fusion_core.transport.image_codec import is_gray
from fusion_core.types import Frame, Modality, UInt8Image

_PROBE_FRAMES = 5
# Frame by frame and linear: a tone curve would reduce the low contrast of a board.
_THERMAL = ThermalConfig(agc="percentile", smoothing_s=0.0, midtone=1.0, freeze_frames=0)


@dataclass(frozen=True, eq=False)
class TargetView:
    """The board in one image.

    Attributes:
        stamp_ns: Stamp of the image, as recorded.
        ids: Which points of the target were seen, ascending.
        pixels: ``Nx2``, where they are.
        sharpness: Mean gradient across the board relative to its contrast; larger is sharper.
    """

    stamp_ns: int
    ids: NDArray[np.intp]
    pixels: Points
    sharpness: float


@dataclass(eq=False)
class TargetTrack:
    """Detections of the board by one camera.

    Attributes:
        modality: Which camera.
        size: Width and height of its images.
        stamps: Stamps of all its images in nanoseconds.
        views: GrayFrames in which the board was found, by stamp.
    """

    modality: Modality
    size: tuple[int, int]
    stamps: list[int] = field(default_factory=list)
    views: list[TargetView] = field(default_factory=list)

    @property
    def period_ns(self) -> float:
        """Median interval between images."""
        return float(np.median(np.diff(self.stamps))) if len(self.stamps) > 1 else 0.0


GrayFrames = Iterator[tuple[Frame, UInt8Image]]


def gray_frames(source: Source, *, monochrome: bool = False, thermal_crop: str = "") -> GrayFrames:
    """Iterate over a recording's frames with their images as 8-bit gray.

    Args:
        source: A recording of both cameras.
        monochrome: The visible camera has no colour.
        thermal_crop: Part of the thermal pictures that is used, as the setting ``thermal.crop``.

    Raises:
        UsageError: The source is live.
        EncodingError: A thermal picture is smaller than the part.
        CalibrationError: A stream is missing or changes its size, or the streams seem swapped.
        SourceError: The recording is truncated.
    """
    if source.live:
        raise UsageError("calibration reads a recording more than once: record the streams first")
    processor = ThermalProcessor(_THERMAL)
    sizes: dict[Modality, tuple[int, int]] = {}
    grays: list[bool] = []
    for whole in source.frames():
        frame = crop_frame(whole, thermal_crop) if whole.modality == "thermal" else whole
        height, width = frame.image.shape[:2]
        size = sizes.setdefault(frame.modality, (width, height))
        if size != (width, height):
            raise CalibrationError(
                f"{frame.modality} frames change from {size[0]}x{size[1]} to {width}x{height} "
                "within the recording; calibrate one resolution at a time"
            )
        if frame.modality == "visible" and len(grays) < _PROBE_FRAMES:
            grays.append(is_gray(frame.image))
            if all(grays) and len(grays) == _PROBE_FRAMES and not monochrome:
                raise CalibrationError(
                    f"the first {_PROBE_FRAMES} visible frames have no colour: are the visible and "
                    "thermal inputs swapped? For a monochrome camera give --monochrome"
                )
        yield frame, _gray(frame, processor)
    for modality in ("visible", "thermal"):
        if modality not in sizes:
            raise CalibrationError(f"the recording has no {modality} frame; give both streams")


def track_target(
    frames: GrayFrames, target: Target, on_frame: Callable[[], object] = lambda: None
) -> dict[Modality, TargetTrack]:
    """Detect the board in every image of both cameras.

    Args:
        frames: From ``gray_frames``.
        target: The board.
        on_frame: Called after every frame.

    Raises:
        CalibrationError: A camera never saw the board; and the errors of ``gray_frames``.
    """
    tracks: dict[Modality, TargetTrack] = {}
    detectors: dict[Modality, TargetDetector] = {}
    for frame, gray in frames:
        modality = frame.modality
        if modality not in tracks:
            tracks[modality] = TargetTrack(modality, (gray.shape[1], gray.shape[0]))
            detectors[modality] = TargetDetector(target)
        tracks[modality].stamps.append(frame.stamp_ns)
        found = detectors[modality].detect_target(gray)
        if found is not None:
            sharpness = _sharpness(gray, found.pixels)
            tracks[modality].views.append(
                TargetView(frame.stamp_ns, found.ids, found.pixels, sharpness)
            )
        on_frame()
    for track in tracks.values():
        if not track.views:
            raise CalibrationError(
                f"the target {target.spec} is in none of {len(track.stamps)} {track.modality} "
                "frames; check its kind and counts (chessboard: inner corners), that it is fully "
                "in view, and that it has contrast in this camera"
            )
    return tracks


def select_frames(
    frames: GrayFrames, wanted: Collection[tuple[Modality, int]]
) -> dict[tuple[Modality, int], tuple[Frame, UInt8Image]]:
    """Return the frames with the given modalities and stamps, and their gray images."""
    return {
        (frame.modality, frame.stamp_ns): (frame, gray)
        for frame, gray in frames
        if (frame.modality, frame.stamp_ns) in wanted
    }


def _gray(frame: Frame, processor: ThermalProcessor) -> UInt8Image:
    if frame.modality == "visible":
        return np.asarray(cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY), np.uint8)
    shown = processor.process(frame).luminance
    return np.asarray(np.rint(shown * 255), np.uint8)


def _sharpness(gray: UInt8Image, pixels: Points) -> float:
    """Return the mean gradient over the board's bounding box, per its contrast."""
    x0, y0 = np.maximum(np.floor(pixels.min(axis=0)).astype(int), 0)
    x1, y1 = np.ceil(pixels.max(axis=0)).astype(int) + 1
    part = gray[y0:y1, x0:x1].astype(np.float32)
    slope = cv2.magnitude(cv2.Sobel(part, cv2.CV_32F, 1, 0), cv2.Sobel(part, cv2.CV_32F, 0, 1))
    return float(np.percentile(slope, 90) / (np.ptp(part) + 1e-6))
