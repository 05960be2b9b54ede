"""A homography between the views from the scene itself, accumulated over a recording.

Colour and heat share few brightnesses but many outlines. Gradients are squared as complex numbers,
which makes opposite directions equal and so the comparison blind to polarity, and reduced to
nearly unit length. Scale and shift are searched over the whole picture by FFT, the scores summed
over moments; from there every moment is registered for itself, and the map on which most moments
agree is fitted through the medians of where they see each point.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.calibration.recording import Pictures
from fusion_core.calibration.targets import Points
from fusion_core.errors import CalibrationError
from fusion_core.registration import register
from fusion_core.sync import SyncConfig, Synchronizer
from fusion_core.types import UInt8Image

Kind = Literal["homography", "affine"]
Size = tuple[int, int]
_MOMENTS: Final = 16
_MOST_WAITING: Final = 256  # pictures kept for a partner that is still to come
_LEAST_MOMENTS: Final = 3
_SEARCH_WIDTH: Final = 160
_BLUR_PX: Final = 1.0
_SCALES: Final = np.geomspace(0.5, 2.0, 41)
_GRID: Final = (9, 7)
_LEAST_TRUST: Final = 0.3
_MOST_SPREAD: Final = 0.01  # of the width: median disagreement of the moments

Field = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Moment:
    """Both cameras' pictures at one time: colour and gray of the visible one, gray thermal."""

    colour: UInt8Image
    visible: UInt8Image
    thermal: UInt8Image


@dataclass(frozen=True, eq=False)
class SceneFit:
    """A homography found from the scene.

    Attributes:
        homography: 3x3, ``thermal_pixel ~ homography @ visible_pixel``.
        spread_px: Median disagreement of the moments in thermal pixels.
        used: Moments that were trusted.
        moments: Moments that were registered.
    """

    homography: Points
    spread_px: float
    used: int
    moments: int


def choose_moments(
    frames: Pictures, offset_ms: float, on_frame: Callable[[], object] = lambda: None
) -> list[Moment]:
    """Return moments spread evenly over a recording.

    Args:
        frames: From ``pictures``.
        offset_ms: Added to thermal stamps.
        on_frame: Called after every frame.

    Raises:
        CalibrationError: There are hardly any; and what ``pictures`` raises.
    """
    policy = SyncConfig(
        thermal_offset_ms=offset_ms,
        wait_ms=1000.0,
        on_missing_thermal="skip",
        on_missing_visible="skip",
    )
    sync = Synchronizer(policy)
    grays: dict[int, UInt8Image] = {}
    moments: list[Moment] = []
    stride = seen = 0
    for frame, gray in frames:
        grays[id(frame)] = gray
        for pair in sync.push(frame):
            if pair.visible is None or pair.thermal is None:
                continue
            if seen % max(stride, 1) == 0:
                shown = (grays[id(pair.visible)], grays[id(pair.thermal)])
                moments.append(Moment(pair.visible.image, *shown))
            seen += 1
            if len(moments) == 2 * _MOMENTS:
                moments, stride = moments[::2], max(stride, 1) * 2
        while len(grays) > _MOST_WAITING:
            grays.pop(next(iter(grays)))
        on_frame()
    moments = moments[:: -(-len(moments) // _MOMENTS)] if moments else []
    if len(moments) < _LEAST_MOMENTS:
        raise CalibrationError(
            f"the streams have {len(moments)} moments in common (at least {_LEAST_MOMENTS} are "
            "needed); check their stamps, or give --time-offset MS"
        )
    return moments


def fit_scene(moments: Sequence[Moment], kind: Kind) -> SceneFit:
    """Find the map from visible to thermal pixels.

    Raises:
        CalibrationError: The scene does not determine it.
    """
    height, width = moments[0].visible.shape
    begin = _search(moments, (width, height))
    found = [register(m.thermal, m.colour, initial=begin) for m in moments]
    trusted = [one for one in found if one.confidence >= _LEAST_TRUST]
    if len(trusted) < _LEAST_MOMENTS:
        best = max(one.confidence for one in found)
        raise CalibrationError(
            f"the outlines in both views agree at {len(trusted)} of {len(found)} moments (at least "
            f"{_LEAST_MOMENTS} are needed; best confidence {best:.2f}, needed {_LEAST_TRUST:g}); "
            "record a textured scene in daylight, far away, or use --target"
        )
    x, y = np.meshgrid(np.linspace(0, width - 1, _GRID[0]), np.linspace(0, height - 1, _GRID[1]))
    points = np.stack((x.ravel(), y.ravel()), axis=1).reshape(-1, 1, 2)
    mapped = np.array(
        [cv2.perspectiveTransform(points, np.asarray(one.homography)) for one in trusted]
    )
    middle = np.median(mapped, axis=0)
    spread = float(np.median(np.linalg.norm(mapped - middle, axis=-1)))
    if spread > _MOST_SPREAD * moments[0].thermal.shape[1]:
        raise CalibrationError(
            f"the moments disagree by {spread:.1f} thermal pixels on how the views lie to each "
            "other: the scene is too near, or has too few outlines that both cameras see; record "
            "a far scene, or use --target"
        )
    return SceneFit(_through(points, middle, kind), spread, len(trusted), len(found))


def _through(points: Points, mapped: Points, kind: Kind) -> Points:
    """Return the homography or affine map that comes nearest to all points."""
    if kind == "homography":
        matrix, _ = cv2.findHomography(points, mapped)
        return np.asarray(matrix, np.float64)
    design = np.column_stack((points.reshape(-1, 2), np.ones(len(points))))
    rows, *_ = np.linalg.lstsq(design, mapped.reshape(-1, 2), rcond=None)
    return np.vstack((rows.T, (0.0, 0.0, 1.0)))


def _search(moments: Sequence[Moment], size: Size) -> Points:
    """Return the scale and shift at which all outlines agree best."""
    factor = _SEARCH_WIDTH / size[0]
    small = (_SEARCH_WIDTH, round(size[1] * factor))
    padded = [cv2.getOptimalDFTSize(3 * side) for side in small]
    some = moments[:: max(1, len(moments) // 8)]
    visible = [_spectrum(_field(_resized(moment.visible, small)), padded) for moment in some]
    height, width = some[0].thermal.shape
    best, found = -np.inf, (1.0, 0, 0)
    for scale in _SCALES:
        shrink = scale * small[0] / width
        reduced = (round(width * shrink), round(height * shrink))
        if reduced[0] > padded[0] - small[0] or reduced[1] > padded[1] - small[1]:
            continue
        total = np.zeros(())
        for moment, spectrum in zip(some, visible, strict=True):
            field = _field(_resized(moment.thermal, reduced))
            total = total + np.fft.ifft2(_spectrum(field, padded) * spectrum.conj()).real
        # A small picture scores little in sum: what counts is how it stands out.
        score = float((total.max() - total.mean()) / total.std())
        if score > best:
            y, x = (int(place) for place in np.unravel_index(int(total.argmax()), total.shape))
            # Shifts to the left and upwards come from the far end of the transform.
            x -= padded[0] * (x >= padded[0] - small[0])
            y -= padded[1] * (y >= padded[1] - small[1])
            best, found = score, (shrink, x, y)
    shrink, x, y = found
    return _placed(factor, shrink, x, y)


def _placed(factor: float, shrink: float, x: int, y: int) -> Points:
    """Return the map from whole visible to whole thermal pixels for a shift between small ones."""
    visible = np.array([[factor, 0, (factor - 1) / 2], [0, factor, (factor - 1) / 2], [0, 0, 1]])
    thermal = np.array([[shrink, 0, (shrink - 1) / 2], [0, shrink, (shrink - 1) / 2], [0, 0, 1]])
    return np.asarray(np.linalg.inv(thermal) @ [[1, 0, x], [0, 1, y], [0, 0, 1]] @ visible)


def _spectrum(field: Field, padded: Sequence[int]) -> NDArray[np.complex128]:
    """Return the Fourier transform of a field of doubled directions."""
    return np.fft.fft2(field[..., 0] + 1j * field[..., 1], s=(padded[1], padded[0]))


def _field(gray: UInt8Image) -> Field:
    """Return the doubled direction of the outlines, ``HxWx2``, length near 1 where they are."""
    smooth = cv2.GaussianBlur(gray.astype(np.float32), (0, 0), _BLUR_PX)
    x, y = (cv2.Sobel(smooth, cv2.CV_32F, *order) for order in ((1, 0), (0, 1)))
    power = x * x + y * y
    weight = 1 / (power + float(power.mean()) + 1e-6)
    return np.asarray(np.stack(((x * x - y * y) * weight, 2 * x * y * weight), axis=-1), np.float32)


def _resized(gray: UInt8Image, size: Size) -> UInt8Image:
    return np.asarray(cv2.resize(gray, size, interpolation=cv2.INTER_AREA), np.uint8)
