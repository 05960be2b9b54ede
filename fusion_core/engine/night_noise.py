"""Remove a colour camera's speckle in the dark."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from fusion_core.engine.prior_gain import prior_gain, steady_gain
from fusion_core.models.stream import StreamState
from fusion_core.types import FloatImage, ScenePrior, UInt8Image

_KINDS: Final = ("low_light", "noise")
# Luma that is dark, and the share of the picture that has to be.
_DARK, _DARK_SHARE = 64, 0.02
_WINDOW: Final = (5, 5)  # at half resolution
# The noise is measured where the picture is flattest. In a window of 25 pixels of noise alone the
# variance exceeds 2.2 of its twentieth percentile in two places of a hundred.
_FLATTEST, _LARGEST = 20, np.float32(2.2)
# Deviation of the chroma, at half resolution, that nobody sees: rounding alone makes up to this.
_UNSEEN: Final = 0.5
_EPS: Final = np.float32(1e-6)


class NightNoise:
    """Gives every place its local mean where it varies by no more than the camera's noise.

    The local Wiener filter of Lee (1980), ``m + max(v - n, 0) / v (x - m)``, mean ``m``, variance
    ``v`` of 10x10 pixels, computed at half resolution. The noise ``n`` is measured in the flattest
    dark parts of each picture, that of the luma at most as large as that of the chroma: walls have
    texture, but seldom colourful texture. A lamp varies by far more and stays as it is.

    It acts in pictures that the prior calls dark or noisy, from a probability of 0.6 on, fully from
    0.9 on; in a stream the gain is an average over about a second.
    """

    def __init__(self) -> None:
        self._target = 0.0

    def clean(
        self, stream: StreamState, visible: UInt8Image, prior: ScenePrior | None
    ) -> UInt8Image:
        """Return the picture without speckle; one that has none is returned as it is.

        Args:
            stream: What is kept of the stream, at its next pair.
            visible: The pair's visible picture, ``HxWx3`` RGB.
            prior: Prior of the scene; None keeps the last one.
        """
        if prior is not None:
            self._target = max(prior_gain(prior.visible, kind) for kind in _KINDS)
        gain = steady_gain(stream, "night noise", self._target)
        if not gain:
            return visible
        planes = cv2.cvtColor(visible, cv2.COLOR_RGB2YCrCb)
        height, width = planes.shape[:2]
        half = cv2.resize(
            planes, (max(1, width // 2), max(1, height // 2)), interpolation=cv2.INTER_AREA
        ).astype(np.float32)
        mean = np.asarray(cv2.blur(half, _WINDOW), np.float32)
        variance = np.maximum(cv2.blur(half * half, _WINDOW) - mean * mean, _EPS)
        noise = _noise(mean[..., 0], variance)
        if noise is None:
            return visible
        kept = np.maximum(variance - _LARGEST * noise, 0) / variance
        kept[..., 1:] = kept[..., 1:].max(axis=2, keepdims=True)  # both or none: the hue stays
        kept = 1 - np.float32(gain) * (1 - kept)
        share, rest = (
            cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR)
            for plane in (kept, (1 - kept) * mean)
        )
        cleaned = cv2.add(cv2.multiply(share, planes, dtype=cv2.CV_32F), rest, dtype=cv2.CV_8U)
        return np.asarray(cv2.cvtColor(cleaned, cv2.COLOR_YCrCb2RGB), np.uint8)


def _noise(luma: FloatImage, variance: FloatImage) -> FloatImage | None:
    """Return the variance of the noise per plane, or None where nobody sees it."""
    dark = luma[::2, ::2] < _DARK
    if dark.mean() < _DARK_SHARE:
        return None
    flattest = np.percentile(variance[::2, ::2][dark], _FLATTEST, axis=0).astype(np.float32)
    colourful = flattest[1:].max()
    if colourful < _UNSEEN**2:
        return None
    flattest[0] = min(flattest[0], colourful)
    return np.asarray(flattest, np.float32)
