"""Motion of the camera, from the motion of the whole picture.

A camera that pans moves every box; a filter that follows objects in the picture would take that
for their own motion. Corners of the reduced picture before are found again in the reduced picture
now (Lucas and Kanade, 1981, in a pyramid), and the shift, turn and zoom that most of them agree on
is the camera's. The thermal image is asked first: drifting smoke, glare and darkness do not move
it. The visible one answers where thermal shows nothing, or has not changed, and is asked first
where the gain of thermal has jumped: a thermal camera that calibrates itself brightens some parts
of the picture more than others, which looks like a motion. Where many corners have
not moved at all the camera stands, whatever moves before it: a motion fitted to people who walk
would be a wrong one far from them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.runtime.images import same_image
from fusion_core.types import AlignedPair, Box, UInt8Image

Motion = NDArray[np.float64]
"""``2x3``: where a point of the picture before, in pixels, lies in the picture now."""

_WIDTH: Final = 160  # of the reduced picture
_CORNERS, _QUALITY, _APART = 120, 0.01, 5.0
_WINDOW: Final = (11, 11)
_LEVELS: Final = 3
_AGREE_PX: Final = 0.7
# The share of corners that have to agree, and their number, for a motion to be the camera's.
_SHARE, _FEWEST = 0.4, 12
_MOST_ZOOM: Final = 1.3
# A quarter of the corners where they were, to a tenth of a reduced pixel: the camera stands.
_STAYS_PX, _STAYING = 0.1, 0.25
# Change of a thermal picture's mean, of 255, from one frame to the next that is one of its gain.
_JUMP: Final = 5.0


class CameraMotion:
    """Follows one stream of pairs."""

    def __init__(self) -> None:
        self._before: dict[str, UInt8Image] = {}
        self._size: tuple[int, ...] = ()

    def step(self, aligned: AlignedPair, objects: Sequence[Box] = ()) -> Motion | None:
        """Return the motion since the pair before; None where it cannot be told.

        Args:
            aligned: The pair now.
            objects: Where objects were in the pair before; they move on their own, and do not
                count.
        """
        size = aligned.valid.shape
        before = self._before if size == self._size else {}
        factor = max(1, round(size[1] / _WIDTH))
        now = dict(_reduced(aligned, factor))
        self._before, self._size = now, size
        for name in _asked(before, now):
            picture = now[name]
            if same_image(picture, before[name]):
                continue
            mask = _background(picture.shape, objects, factor)
            matrix = _motion(before[name], picture, mask)
            if matrix is not None:
                return _enlarged(matrix, factor)
        return None


def _asked(before: Mapping[str, UInt8Image], now: Mapping[str, UInt8Image]) -> list[str]:
    """Return which images tell the motion, the best first."""
    names = [name for name in now if name in before]
    if len(names) > 1:
        then, mean = (cv2.mean(pictures["thermal"])[0] for pictures in (before, now))
        if abs(mean - then) > _JUMP:
            names.reverse()
    return names


def _motion(
    before: UInt8Image, now: UInt8Image, background: UInt8Image
) -> NDArray[np.float64] | None:
    """Return the ``2x3`` motion between two reduced pictures that most corners agree on."""
    corners = cv2.goodFeaturesToTrack(before, _CORNERS, _QUALITY, _APART, mask=background)
    if corners is None or len(corners) < _FEWEST:
        return None
    moved, found, _ = cv2.calcOpticalFlowPyrLK(
        before, now, corners, np.empty_like(corners), winSize=_WINDOW, maxLevel=_LEVELS
    )
    kept = found.ravel() == 1
    if np.count_nonzero(kept) < _FEWEST:
        return None
    stay = np.count_nonzero(np.linalg.norm((moved - corners)[kept], axis=-1) < _STAYS_PX)
    if stay >= max(_FEWEST, _STAYING * len(corners)):
        return np.eye(2, 3)
    matrix, agreeing = cv2.estimateAffinePartial2D(
        corners[kept], moved[kept], ransacReprojThreshold=_AGREE_PX
    )
    if matrix is None or agreeing.sum() < max(_FEWEST, _SHARE * len(corners)):
        return None
    zoom = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    return np.asarray(matrix) if 1 / _MOST_ZOOM < zoom < _MOST_ZOOM else None


def moved_box(box: Box, motion: Motion) -> Box:
    """Return where a box lies after a motion of the camera; it stays upright."""
    x, y, width, height = box
    centre = motion[:, :2] @ (x + width / 2, y + height / 2) + motion[:, 2]
    zoom = float(np.hypot(motion[0, 0], motion[1, 0]))
    width, height = zoom * width, zoom * height
    return (float(centre[0]) - width / 2, float(centre[1]) - height / 2, width, height)


def _reduced(aligned: AlignedPair, factor: int) -> Iterator[tuple[str, UInt8Image]]:
    """Iterate over the images of a pair, reduced by a whole factor, thermal first.

    Of the visible one its green is taken, which is most of its luma.
    """
    size = (aligned.valid.shape[1] // factor, aligned.valid.shape[0] // factor)
    if aligned.thermal is not None:
        small = cv2.resize(aligned.thermal, size, interpolation=cv2.INTER_AREA)
        yield "thermal", np.asarray(cv2.convertScaleAbs(small, alpha=255), np.uint8)
    if aligned.visible is not None:
        green = cv2.extractChannel(aligned.visible, 1)
        yield "visible", np.asarray(cv2.resize(green, size, interpolation=cv2.INTER_AREA), np.uint8)


def _background(shape: tuple[int, ...], objects: Sequence[Box], factor: int) -> UInt8Image:
    """Return 255 where no object is."""
    mask = np.full(shape, 255, np.uint8)
    for x, y, width, height in objects:
        left, top = (max(0, int(edge / factor)) for edge in (x, y))
        right, bottom = (max(0, int(np.ceil(edge / factor))) for edge in (x + width, y + height))
        mask[top:bottom, left:right] = 0
    return mask


def _enlarged(matrix: NDArray[np.float64], factor: int) -> Motion:
    """Return a motion between reduced pictures as one between pictures in boxes' coordinates.

    Corners count from the middle of the top-left pixel, boxes from its outer corner.
    """
    middle = np.array([0.5, 0.5])
    shift = matrix[:, 2] + middle - matrix[:, :2] @ middle
    return np.column_stack([matrix[:, :2], shift * factor])
