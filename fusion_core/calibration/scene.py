"""A homography between the views from the scene itself, accumulated over a recording.

Visible and thermal images share edges rather than intensities. Gradients are squared as complex
numbers, which makes the comparison independent of polarity, and normalised to nearly unit length.
Scale and shift are searched over the whole image by FFT, with scores summed over the samples; from
there every sample is registered on its own, and one map is fitted to the median position of each
point.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.calibration.recording import GrayFrames
from fusion_core.calibration.targets import Points
from fusion_core.errors import CalibrationError
from fusion_core.registration import register
from fusion_core.sync import SyncConfig, Synchronizer
from fusion_core.types import UInt8Image

Kind = Literal["homography", "affine"]
Size = tuple[int, int]
_SAMPLES: Final = 16
_MOST_WAITING: Final = 256  # images kept until their partner arrives
_LEAST_SAMPLES: Final = 3
_SEARCH_WIDTH: Final = 160
_BLUR_PX: Final = 1.0
_SCALES: Final = np.geomspace(0.5, 2.0, 41)
_GRID: Final = (9, 7)
_LEAST_CONFIDENCE: Final = 0.3
_MOST_SPREAD: Final = 0.01  # of the width: median deviation of the samples

DirectionField = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class SceneSample:
    """Simultaneous images of both cameras.

    Attributes:
        colour: ``HxWx3`` visible image, RGB.
        visible: ``HxW``, the same in gray.
        thermal: ``HxW`` thermal image in gray.
    """

    colour: UInt8Image
    visible: UInt8Image
    thermal: UInt8Image


@dataclass(frozen=True, eq=False)
class SceneFit:
    """A homography found from the scene.

    Attributes:
        homography: 3x3, ``thermal_pixel ~ homography @ visible_pixel``.
        spread_px: Median deviation of the samples in thermal pixels.
        used: Number of samples of sufficient confidence.
        registered: Number of samples in all.
    """

    homography: Points
    spread_px: float
    used: int
    registered: int


def sample_scene(
    frames: GrayFrames, offset_ms: float, on_frame: Callable[[], object] = lambda: None
) -> list[SceneSample]:
    """Return samples spread evenly over a recording.

    Args:
        frames: From ``gray_frames``.
        offset_ms: Added to thermal stamps.
        on_frame: Called after every frame.

    Raises:
        CalibrationError: There are too few; and the errors of ``gray_frames``.
    """
    policy = SyncConfig(
        thermal_offset_ms=offset_ms,
        wait_ms=1000.0,
        on_missing_thermal="skip",
        on_missing_visible="skip",
    )
    sync = Synchronizer(policy)
    grays: dict[int, UInt8Image] = {}
    samples: list[SceneSample] = []
    stride = seen = 0
    for frame, gray in frames:
        grays[id(frame)] = gray
        for pair in sync.push(frame):
            if pair.visible is None or pair.thermal is None:
                continue
            if seen % max(stride, 1) == 0:
                shown = (grays[id(pair.visible)], grays[id(pair.thermal)])
                samples.append(SceneSample(pair.visible.image, *shown))
            seen += 1
            if len(samples) == 2 * _SAMPLES:
                samples, stride = samples[::2], max(stride, 1) * 2
        while len(grays) > _MOST_WAITING:
            grays.pop(next(iter(grays)))
        on_frame()
    samples = samples[:: -(-len(samples) // _SAMPLES)] if samples else []
    if len(samples) < _LEAST_SAMPLES:
        raise CalibrationError(
            f"the streams have {len(samples)} simultaneous pairs (at least {_LEAST_SAMPLES} are "
            "needed); check their stamps, or give --time-offset MS"
        )
    return samples


def fit_scene(samples: Sequence[SceneSample], kind: Kind) -> SceneFit:
    """Find the map from visible to thermal pixels.

    Raises:
        CalibrationError: The scene does not determine it.
    """
    height, width = samples[0].visible.shape
    begin = _search(samples, (width, height))
    found = [register(m.thermal, m.colour, initial=begin) for m in samples]
    accepted = [one for one in found if one.confidence >= _LEAST_CONFIDENCE]
    if len(accepted) < _LEAST_SAMPLES:
        best = max(one.confidence for one in found)
        raise CalibrationError(
            f"the edges in both views match in {len(accepted)} of {len(found)} samples (at least "
            f"{_LEAST_SAMPLES} are needed; best confidence {best:.2f}, needed "
            f"{_LEAST_CONFIDENCE:g}); record a textured scene in daylight, far away, or use "
            "--target"
        )
    x, y = np.meshgrid(np.linspace(0, width - 1, _GRID[0]), np.linspace(0, height - 1, _GRID[1]))
    points = np.stack((x.ravel(), y.ravel()), axis=1).reshape(-1, 1, 2)
    mapped = np.array(
        [cv2.perspectiveTransform(points, np.asarray(one.homography)) for one in accepted]
    )
    middle = np.median(mapped, axis=0)
    spread = float(np.median(np.linalg.norm(mapped - middle, axis=-1)))
    if spread > _MOST_SPREAD * samples[0].thermal.shape[1]:
        raise CalibrationError(
            f"the registrations of the samples differ by {spread:.1f} thermal pixels (limit "
            f"{_MOST_SPREAD * samples[0].thermal.shape[1]:.1f}): the scene is too near, or has too "
            "few edges that both cameras see; record a far scene, or use --target"
        )
    return SceneFit(_fit_map(points, middle, kind), spread, len(accepted), len(found))


def _fit_map(points: Points, mapped: Points, kind: Kind) -> Points:
    """Return the homography or affine map that fits all points best."""
    if kind == "homography":
        matrix, _ = cv2.findHomography(points, mapped)
        return np.asarray(matrix, np.float64)
    design = np.column_stack((points.reshape(-1, 2), np.ones(len(points))))
    rows, *_ = np.linalg.lstsq(design, mapped.reshape(-1, 2), rcond=None)
    return np.vstack((rows.T, (0.0, 0.0, 1.0)))


def _search(samples: Sequence[SceneSample], size: Size) -> Points:
    """Return the scale and shift at which the edges of all samples match best."""
    factor = _SEARCH_WIDTH / size[0]
    small = (_SEARCH_WIDTH, round(size[1] * factor))
    padded = [cv2.getOptimalDFTSize(3 * side) for side in small]
    some = samples[:: max(1, len(samples) // 8)]
    visible = [
        _spectrum(_direction_field(_resized(sample.visible, small)), padded) for sample in some
    ]
    height, width = some[0].thermal.shape
    best, found = -np.inf, (1.0, 0, 0)
    for scale in _SCALES:
        shrink = scale * small[0] / width
        reduced = (round(width * shrink), round(height * shrink))
        if reduced[0] > padded[0] - small[0] or reduced[1] > padded[1] - small[1]:
            continue
        total = np.zeros(())
        for sample, spectrum in zip(some, visible, strict=True):
            field = _direction_field(_resized(sample.thermal, reduced))
            total = total + np.fft.ifft2(_spectrum(field, padded) * spectrum.conj()).real
        # The sum grows with the image size: compare peaks by their height over the deviation.
        score = float((total.max() - total.mean()) / total.std())
        if score > best:
            y, x = (int(place) for place in np.unravel_index(int(total.argmax()), total.shape))
            # Shifts to the left and upwards are at the far end of the transform.
            x -= padded[0] * (x >= padded[0] - small[0])
            y -= padded[1] * (y >= padded[1] - small[1])
            best, found = score, (shrink, x, y)
    shrink, x, y = found
    return _full_size_map(factor, shrink, x, y)


def _full_size_map(factor: float, shrink: float, x: int, y: int) -> Points:
    """Return the map between full-size pixels for a shift between reduced images."""
    visible = np.array([[factor, 0, (factor - 1) / 2], [0, factor, (factor - 1) / 2], [0, 0, 1]])
    thermal = np.array([[shrink, 0, (shrink - 1) / 2], [0, shrink, (shrink - 1) / 2], [0, 0, 1]])
    return np.asarray(np.linalg.inv(thermal) @ [[1, 0, x], [0, 1, y], [0, 0, 1]] @ visible)


def _spectrum(field: DirectionField, padded: Sequence[int]) -> NDArray[np.complex128]:
    """Return the Fourier transform of a field of doubled gradient directions."""
    return np.fft.fft2(field[..., 0] + 1j * field[..., 1], s=(padded[1], padded[0]))


def _direction_field(gray: UInt8Image) -> DirectionField:
    """Return the doubled gradient directions ``HxWx2``, of length near 1 on edges."""
    smooth = cv2.GaussianBlur(gray.astype(np.float32), (0, 0), _BLUR_PX)
    x, y = (cv2.Sobel(smooth, cv2.CV_32F, *order) for order in ((1, 0), (0, 1)))
    power = x * x + y * y
    weight = 1 / (power + float(power.mean()) + 1e-6)
    return np.asarray(np.stack(((x * x - y * y) * weight, 2 * x * y * weight), axis=-1), np.float32)


def _resized(gray: UInt8Image, size: Size) -> UInt8Image:
    return np.asarray(cv2.resize(gray, size, interpolation=cv2.INTER_AREA), np.uint8)
