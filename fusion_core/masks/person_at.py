"""The person at a point of the thermal picture, by a small network that looks at it at many scales.

It needs nothing but numpy: it runs once per click, not per frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from fusion_core.errors import WeightsError
from fusion_core.runtime.safetensors_file import read_safetensors
from fusion_core.types import Box, FloatImage

FORMAT: Final = {"format": "fusion-person-at", "version": "1"}
STRIDES: Final = (2, 1, 2, 1, 2)
"""Of the network's convolutions, 3x3; two linear maps follow."""
WINDOW: Final = (48, 32)
"""Rows and columns of what the network sees: 1.6 times a person's height and as much as 2/3."""
_SPAN = 1.6
# Heights in pixels at which a person is looked for, up to this share of the picture's height.
_SMALLEST, _STEP, _HIGHEST = 20.0, 1.36, 1.15
# The middle of a window, in rows and columns, and the least contrast of its levels.
_MIDDLE = (slice(12, 36), slice(10, 22))
_HOT, _LEAST_CONTRAST, _RANGE = 0.95, 0.04, (-2.0, 3.0)
_LEAST_EDGE = 60
_WEIGHTS = Path(__file__).parent / "weights" / "person-at.safetensors"

_Values = NDArray[np.float32]


class Found(NamedTuple):
    """A person at a point.

    Attributes:
        box: Left, top, width and height in pixels.
        overlap: Intersection over union with the person's box that is expected, in [0, 1].
    """

    box: Box
    overlap: float


def person_at(thermal: FloatImage, x: float, y: float) -> Found:
    """Return the person at a point, as far as there is one.

    Args:
        thermal: ``HxW`` float32 in [0, 1], hot is bright.
        x: Column of the point.
        y: Row of the point.
    """
    looks = Looks(thermal)
    heights = heights_in(thermal.shape[0])
    windows = np.stack([looks.at(x, y, height) for height in heights])
    reaches, overlaps = _shipped().run(windows)
    best = int(overlaps.argmax())
    left, top, right, bottom = (float(reach * heights[best]) for reach in reaches[best])
    return Found((x - left, y - top, left + right, top + bottom), float(overlaps[best]))


def heights_in(rows: int) -> tuple[float, ...]:
    """Return the heights in pixels at which a person is looked for in a picture of so many rows."""
    count = max(1, 1 + int(np.log(_HIGHEST * max(rows, 1) / _SMALLEST) / np.log(_STEP)))
    return tuple(_SMALLEST * _STEP**number for number in range(count))


class Looks:
    """Windows of a picture at any scale.

    Args:
        thermal: ``HxW`` float32 in [0, 1].
    """

    def __init__(self, thermal: FloatImage) -> None:
        self._levels = [thermal]
        while min(self._levels[-1].shape) > _LEAST_EDGE:
            last = self._levels[-1]
            size = (last.shape[1] // 2, last.shape[0] // 2)
            self._levels.append(np.asarray(cv2.resize(last, size, interpolation=cv2.INTER_AREA)))

    def at(self, x: float, y: float, height: float) -> _Values:
        """Return ``2x48x32`` around a point for a person of a height in pixels.

        The first plane lies between the window's median (0) and the hottest of its middle (1), the
        second is the picture less 1/2.
        """
        rows, columns = WINDOW
        step = _SPAN * height / rows
        level = int(np.clip(np.log2(max(step, 1)) + 0.3, 0, len(self._levels) - 1))
        picture = self._levels[level]
        scale = self._levels[0].shape[1] / picture.shape[1]
        x, y, step = x / scale, y / scale, step / scale
        to_picture = np.array([[step, 0, x - columns / 2 * step], [0, step, y - rows / 2 * step]])
        seen = cv2.warpAffine(
            picture,
            to_picture,
            (columns, rows),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return levelled(np.asarray(seen, np.float32))


def levelled(seen: FloatImage) -> _Values:
    """Return the ``2x48x32`` planes of a window, see :meth:`Looks.at`."""
    ground = float(np.median(seen))
    contrast = max(_LEAST_CONTRAST, float(np.quantile(seen[_MIDDLE], _HOT)) - ground)
    return np.stack([np.clip((seen - ground) / contrast, *_RANGE), seen - 0.5]).astype(np.float32)


class PersonNetwork:
    """The network, in numpy.

    Args:
        weights: Weight and bias of every layer, as torch has them.
    """

    def __init__(self, weights: Sequence[tuple[_Values, _Values]]) -> None:
        self._convolutions = weights[: len(STRIDES)]
        self._linear = weights[len(STRIDES) :]

    def run(self, windows: _Values) -> tuple[_Values, _Values]:
        """Return reaches and overlaps of windows ``Nx2x48x32``.

        Returns:
            ``Nx4`` how far the person reaches to the left, to the top, to the right and to the
            bottom, in units of the window's height of a person; and ``N`` expected overlaps.
        """
        x = windows
        for (weight, bias), stride in zip(self._convolutions, STRIDES, strict=True):
            x = np.maximum(_convolved(x, weight, bias, stride), 0)
        x = x.reshape(len(x), -1)
        (first, first_bias), (last, last_bias) = self._linear
        x = np.maximum(x @ first.T + first_bias, 0) @ last.T + last_bias
        reaches = np.logaddexp(0, x[:, :4])
        return reaches.astype(np.float32), (1 / (1 + np.exp(-x[:, 4]))).astype(np.float32)


def read_person_network(path: Path) -> PersonNetwork:
    """Read the network's weights.

    Raises:
        WeightsError: The file is missing, torn or foreign.
    """
    _, tensors = read_safetensors(path, "numpy", FORMAT, WeightsError, "install the package again")
    layers = range(len(STRIDES) + 2)
    return PersonNetwork([(tensors[f"{n}.weight"], tensors[f"{n}.bias"]) for n in layers])


@lru_cache(maxsize=1)
def _shipped() -> PersonNetwork:
    return read_person_network(_WEIGHTS)


def _convolved(x: _Values, weight: _Values, bias: _Values, stride: int) -> _Values:
    """Return a 3x3 convolution of ``NxCxHxW``, padded with zeros."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    views = sliding_window_view(padded, (3, 3), axis=(2, 3))[:, :, ::stride, ::stride]
    summed = np.tensordot(views, weight, ((1, 4, 5), (1, 2, 3)))
    return np.ascontiguousarray(np.moveaxis(summed + bias, 3, 1), np.float32)
