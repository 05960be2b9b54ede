"""Recognition of a closed shutter (flat-field correction), which freezes the stream.

Cameras show it in two ways: they send the last picture again and again, or the shutter itself,
which is uniform.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fusion_core.runtime.images import same_image

_STEP: Final = 8  # statistics are taken from every eighth row and column
_COLLAPSE: Final = 0.15  # a shutter's contrast, relative to the scene's
_SHIFT: Final = 1.0  # its mean differs from the scene's by this many standard deviations
_MEMORY: Final = 0.1  # weight of a new frame in the scene's running statistics
_LONGEST_NS: Final = 3_000_000_000  # a correction takes about a second; a plain wall stays


class ShutterDetector:
    """Finds, frame by frame, whether the camera shows its shutter instead of the scene."""

    def __init__(self, freeze_frames: int) -> None:
        """Take ``freeze_frames`` identical frames for a closed shutter; 0 switches it off."""
        self._limit = max(2, freeze_frames) if freeze_frames else 0
        self.reset()

    def reset(self) -> None:
        """Forget the stream, for example when its resolution changes."""
        self._previous: NDArray[Any] = np.empty(0)
        self._identical = 1
        self._mean = 0.0
        self._std = 0.0
        self._closed_since: int | None = None

    def closed(self, image: NDArray[Any], stamp_ns: int) -> bool:
        """Take the next frame; return whether it shows a closed shutter."""
        if not self._limit:
            return False
        sample = np.ascontiguousarray(image[::_STEP, ::_STEP])
        repeated = self._repeated(image)
        uniform = self._uniform(sample, stamp_ns)
        return repeated or uniform

    def _repeated(self, image: NDArray[Any]) -> bool:
        """Count frames that equal the one before, pixel by pixel."""
        self._identical = self._identical + 1 if same_image(image, self._previous) else 1
        self._previous = image
        return self._identical >= self._limit

    def _uniform(self, sample: NDArray[Any], stamp_ns: int) -> bool:
        """Return whether contrast collapsed at a jump of the mean, and not for too long."""
        finite = sample[np.isfinite(sample)] if sample.dtype.kind == "f" else sample
        if finite.size == 0:
            return False
        mean, std = float(finite.mean(dtype=np.float64)), float(finite.std(dtype=np.float64))
        suspect = std < _COLLAPSE * self._std and abs(mean - self._mean) > _SHIFT * self._std
        if suspect:
            since = stamp_ns if self._closed_since is None else self._closed_since
            if 0 <= stamp_ns - since <= _LONGEST_NS:
                self._closed_since = since
                return True
        self._closed_since = None
        weight = 1.0 if suspect or self._std == 0.0 else _MEMORY
        self._mean += weight * (mean - self._mean)
        self._std += weight * (std - self._std)
        return False
