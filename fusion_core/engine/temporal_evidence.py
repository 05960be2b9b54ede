"""What several frames say of a place: rain and snow move, noise is new in every frame."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.detection.camera_motion import CameraMotion, Motion
from fusion_core.engine.clearest_view import ClearestView
from fusion_core.engine.prior_gain import prior_gain, steady_gain
from fusion_core.engine.stillness import CELL, cells, green_cells, still
from fusion_core.models.stream import StreamState
from fusion_core.types import AlignedPair, FloatImage, ScenePrior, UInt8Image

_KINDS: Final = ("rain", "snow", "noise", "smoke")
# Frames whose median is taken: of a camera that stands, and of one that moves, where each of them
# costs a resampling.
_FRAMES, _MOVING_FRAMES = 5, 3
_GAP_NS: Final = 500_000_000
# Largest displacement in pixels that counts as a camera that stands.
_STANDS_PX: Final = 0.3


@dataclass(frozen=True, slots=True)
class _Seen:
    """A frame before.

    Attributes:
        visible: ``HxWx3`` uint8 RGB.
        heat: Thermal means of the cells.
        motion: ``2x3``, where its points lie in the newest frame.
    """

    visible: UInt8Image
    heat: FloatImage
    motion: Motion


class TemporalEvidence:
    """Gives the visible picture what most of the last frames show, where nothing moves.

    In a stream that the prior calls rainy, snowy, noisy or smoky, a pixel becomes the median of the
    last five frames: a streak or a flake is there for one frame. Frames before are moved with a
    moving camera, and are then but two. Where the thermal picture has changed, or the visible one
    by more than what falls can change it, the newest frame stays as it is: people and vehicles
    neither smear nor vanish. What is small, bright and as warm as its surroundings can vanish.

    In smoke, while the camera stands, a place becomes what the clearest of the last seconds' views
    showed instead; see :class:`ClearestView`.

    Attributes:
        gain: How far the newest picture was cleaned, in [0, 1].
    """

    def __init__(self) -> None:
        self.gain = 0.0
        self._target = 0.0
        self._smoky = False
        self._views = ClearestView()
        self._seen: deque[_Seen] = deque(maxlen=_FRAMES - 1)
        self._camera = CameraMotion()
        self._stamp_ns, self._gap_s = 0, 0.0

    def clean(self, stream: StreamState, pair: AlignedPair, prior: ScenePrior | None) -> UInt8Image:
        """Return the visible picture cleaned, ``HxWx3``; in clear weather the picture itself.

        Args:
            stream: What is kept of the stream, at its next pair.
            pair: The pair, with both pictures.
            prior: Prior of the scene; None keeps the last one.
        """
        assert pair.visible is not None, "both pictures are there"
        assert pair.thermal is not None, "both pictures are there"
        if prior is not None:
            gains = {kind: prior_gain(prior.visible, kind) for kind in _KINDS}
            self._target = max(gains.values())
            self._smoky = gains["smoke"] > 0
        self.gain = steady_gain(stream, "temporal evidence", self._target)
        if not self.gain:
            self._seen.clear()
            self._views.forget()
            return pair.visible
        visible, heat = pair.visible, cells(pair.thermal)
        self._follow(pair)
        moved = self._moved(visible.shape)
        pictures, heats = self._before(moved)
        self._seen.append(_Seen(visible, heat, np.eye(2, 3)))
        if self._smoky and moved and not any(moved):
            found = self._views.step(visible, heat, self._gap_s)
            blended = cv2.addWeighted(found, self.gain, visible, 1 - self.gain, 0)
            return np.asarray(blended, np.uint8)
        self._views.forget()
        if not pictures:
            return visible
        usual = median([*pictures, visible])
        weight = np.float32(self.gain) * still(
            green_cells(visible), green_cells(usual), heat, heats
        )
        size = visible.shape[1::-1]
        full = cv2.resize(weight, size, interpolation=cv2.INTER_LINEAR)
        kept = cv2.blendLinear(usual, visible, full, 1 - full)
        return np.asarray(kept, np.uint8)

    def _follow(self, pair: AlignedPair) -> None:
        """Move the frames before with the camera; forget them where that cannot be told."""
        motion = self._camera.step(pair)
        gap_ns, self._stamp_ns = pair.stamp_ns - self._stamp_ns, pair.stamp_ns
        self._gap_s = gap_ns / 1e9
        alike = all(seen.visible.shape == (*pair.valid.shape, 3) for seen in self._seen)
        if motion is None or not 0 < gap_ns <= _GAP_NS or not alike:
            self._seen.clear()
            return
        turned = [replace(seen, motion=_chained(seen.motion, motion)) for seen in self._seen]
        self._seen.extend(turned)

    def _moved(self, shape: tuple[int, ...]) -> list[bool]:
        """Return for each of the frames before whether the camera has moved since."""
        height, width = shape[:2]
        return [_displacement(seen.motion, width, height) > _STANDS_PX for seen in self._seen]

    def _before(self, moved: Sequence[bool]) -> tuple[list[UInt8Image], list[FloatImage]]:
        """Return an even number of pictures, on the newest's grid, with their thermal cells."""
        pictures, heats = [], []
        count = min((_MOVING_FRAMES if any(moved) else _FRAMES) - 1, len(moved) // 2 * 2)
        for index in range(len(moved) - count, len(moved)):
            seen = self._seen[index]
            picture, warmth = seen.visible, seen.heat
            if moved[index]:
                picture = np.asarray(_moved(picture, seen.motion, 1), np.uint8)
                warmth = np.asarray(_moved(warmth, seen.motion, CELL), np.float32)
            pictures.append(picture)
            heats.append(warmth)
        return pictures, heats


def median(pictures: Sequence[UInt8Image]) -> UInt8Image:
    """Return the median of three or five pictures of one shape, pixel by pixel."""
    if len(pictures) == 5:
        a, b, c, d, e = pictures
        low = cv2.max(cv2.min(a, b), cv2.min(c, d))
        high = cv2.min(cv2.max(a, b), cv2.max(c, d))
        pictures = [np.asarray(low, np.uint8), np.asarray(high, np.uint8), e]
    a, b, c = pictures
    middle = cv2.max(cv2.min(a, b), cv2.min(cv2.max(a, b), c))
    return np.asarray(middle, np.uint8)


def _chained(first: Motion, second: Motion) -> Motion:
    linear = second[:, :2] @ first[:, :2]
    return np.column_stack([linear, second[:, :2] @ first[:, 2] + second[:, 2]])


def _displacement(motion: Motion, width: int, height: int) -> float:
    corners = np.array([[0, width, 0, width], [0, 0, height, height]], float)
    moved = motion[:, :2] @ corners + motion[:, 2:] - corners
    return float(np.abs(moved).max())


def _moved(image: FloatImage | UInt8Image, motion: Motion, edge: int) -> NDArray[Any]:
    """Return an image moved with the camera; its pixels are cells of this edge in pixels.

    Motions count from the outer corner of the picture, OpenCV from the middle of a pixel.
    """
    middle = np.full(2, 0.5)
    shift = motion[:, :2] @ middle + motion[:, 2] / edge - middle
    matrix = np.column_stack([motion[:, :2], shift])
    size = image.shape[1], image.shape[0]
    return cv2.warpAffine(image, matrix, size, borderMode=cv2.BORDER_REPLICATE)
