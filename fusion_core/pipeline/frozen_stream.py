"""Recognition of a visible stream that hangs: it sends one picture while the scene goes on."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fusion_core.types import Frame, FramePair

_REPEATS: Final = 3  # frames of one content that mean a hanging camera; noise differs in each
_STEP: Final = 8  # the cheap comparison looks at every eighth row and column


class FrozenStreamDetector:
    """Tells, pair by pair, whether the visible camera repeats itself while the thermal one moves.

    A slow camera's frame that is paired again is no new frame; streams of codecs that predict
    repeat pictures of a still scene exactly, and are passed over.
    """

    def __init__(self) -> None:
        self._visible: Frame | None = None
        self._thermal: Frame | None = None
        self._identical = 1
        self._moved = False

    def frozen(self, pair: FramePair) -> bool:
        """Take the next pair; tell whether its visible frame hangs."""
        visible, before = pair.visible, self._visible
        if visible is None or visible.predicted:
            self._visible, self._identical, self._moved = None, 1, False
            return False
        if pair.thermal is not None:
            known, self._thermal = self._thermal, pair.thermal
            self._moved |= known is not None and not _same(known.image, pair.thermal.image)
        if visible is not before:
            self._visible = visible
            if before is None or not _same(before.image, visible.image):
                self._identical, self._moved = 1, False
            else:
                self._identical += 1
        return self._moved and self._identical >= _REPEATS


def _same(first: NDArray[Any], second: NDArray[Any]) -> bool:
    """Tell whether two pictures are equal byte by byte."""
    if first.shape != second.shape or first.dtype != second.dtype:
        return False
    coarse = np.array_equal(first[::_STEP, ::_STEP], second[::_STEP, ::_STEP])
    return coarse and np.array_equal(first, second)
