"""What every degradation has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from fusion_core.types import FloatImage

# Rows of the pictures that lengths in pixels of rain, snow and smoke are meant for.
REFERENCE_ROWS = 480


class Operation(ABC):
    """One degradation with its parameters drawn; it may be applied to a whole stream.

    Parameters grow with the severity so that 0 would change nothing, and 0.2 to 1 spans the range
    of the literature that each class names.

    Args:
        severity: Strength in (0, 1].
        rng: Source of the parameters; a copy of its state seeds what changes with time.
    """

    def __init__(self, severity: float, rng: np.random.Generator) -> None:
        self.severity = severity
        self._seed = int(rng.integers(2**31))

    @abstractmethod
    def __call__(self, picture: FloatImage, seconds: float) -> FloatImage:
        """Return the degraded picture, not yet clipped.

        Args:
            picture: ``HxWx3`` RGB or ``HxW``, float32 in [0, 1].
            seconds: Time since the start of the stream.
        """

    def moment_rng(self, seconds: float) -> np.random.Generator:
        """Return randomness that is new in every frame and the same in every run."""
        return np.random.default_rng((self._seed, round(abs(seconds) * 1e6)))


def per_pixel(plane: FloatImage, picture: FloatImage) -> FloatImage:
    """Return an ``HxW`` plane with as many axes as the picture."""
    return plane if picture.ndim == 2 else plane[..., None]


def luma(picture: FloatImage) -> FloatImage:
    """Return the BT.601 luma of a picture, ``HxW``."""
    if picture.ndim == 2:
        return picture
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    return np.asarray(picture @ weights, np.float32)


def onset(severity: float) -> float:
    """Return 0 at severity 0, rising to 1 at 0.2, where the ranges of the literature begin."""
    return min(1.0, severity / 0.2)
