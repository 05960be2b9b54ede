"""What is kept of the frames before, so that a stream does not flicker."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:  # what corrects pictures before a network keeps plain numbers, without torch
    from torch import Tensor

Value = TypeVar("Value", "Tensor", np.float64)


class StreamState:
    """Values of one stream that move slowly from frame to frame.

    A value is what it was at the frame before, moved towards what is found now by ``1 - exp(-dt /
    T)``: a recursive average whose memory does not depend on the frame rate. After a long gap what
    is found counts alone, and so does the first frame's.
    """

    def __init__(self) -> None:
        self._kept: dict[str, Any] = {}
        self._elapsed_s = 0.0

    def advance(self, elapsed_s: float) -> None:
        """Begin the next frame.

        Args:
            elapsed_s: Seconds since the frame before.
        """
        self._elapsed_s = elapsed_s

    def forget(self) -> None:
        """Let the next frame be the first one."""
        self._kept.clear()

    def averaged(self, name: str, found: Value, over_s: float, still: Value | None = None) -> Value:
        """Return the average of a value over the frames so far, and keep it.

        Args:
            name: Which value; one of another shape than before begins anew.
            found: What is found now.
            over_s: Time constant ``T`` in seconds.
            still: Share in [0, 1] that may be kept of what was before; None: all.
        """
        before = self.before(name, found)
        if before is not found:
            keep = math.exp(-self._elapsed_s / over_s)
            found = found + (keep if still is None else keep * still) * (before - found)
            self._kept[name] = found
        return found

    def before(self, name: str, found: Value) -> Value:
        """Keep a value; return that of the frame before, at the first frame the value itself."""
        before: Value | None = self._kept.get(name)
        self._kept[name] = found
        return found if before is None or before.shape != found.shape else before
