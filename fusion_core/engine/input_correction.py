"""Correct sources that the scene prior calls degraded."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.engine.prior_gain import prior_gain, steady_gain
from fusion_core.models.stream import StreamState
from fusion_core.types import FloatImage, ScenePrior, UInt8Image

# White noise keeps 1 / (2 sigma sqrt(pi)) of its deviation behind a Gaussian: 0.24.
_NOISE_SIGMA = 1.2
_STRIPE_SIGMA, _STRIPE_WINDOW = 8.0, 49
# What a glaring picture has above this luma is scaled by 1 where thermal is white, by the share
# where it is black. The result never falls where the luma rises: no ring around the sun, no hole.
_KNEE, _COLD_SHARE = 0.6, 0.5
# Grey level that counts as clipped, and shares of the picture for the gains 0 and 1.
_CLIPPED, _CLIPPED_SHARES = 250, (0.02, 0.04)

_NOISE, _GLARE, _THERMAL_NOISE, _STRIPES = "noise", "glare", "thermal noise", "stripes"


class InputCorrection:
    """Removes from a degraded source what would degrade the result.

    * A noisy source is mixed with its Gaussian blur.
    * Stripes are removed from the thermal picture: what changes along a row faster than a Gaussian
      of eight pixels, median over all rows, is subtracted, and likewise along the columns.
    * The bright part of a glaring visible picture is dimmed where the thermal picture is cold, so
      that what is hot stands out before the sun. The thermal picture becomes the same there:
      a hot edge that only one of two pictures shows would get a dark rim.

    Each correction has a gain, from 0 at a probability of 0.6 to 1 at 0.9. That of glare also
    follows the picture, from 0 where 2 % of it are clipped to 1 at 4 %: a prior may be seconds old.
    In a stream the gains are averages over about a second, which begin anew at a cut
    (:class:`~fusion_core.engine.stream_follower.StreamFollower`).

    Args:
        glare_only: Leave all else to the network, which undoes noise and stripes by itself but
            cannot recover what is clipped.
    """

    def __init__(self, glare_only: bool = False) -> None:
        self.gains: dict[str, float] = {}
        self._targets: dict[str, float] = {}
        self._glare_only = glare_only

    def correct(
        self,
        stream: StreamState,
        thermal: FloatImage,
        visible: UInt8Image,
        prior: ScenePrior | None,
    ) -> tuple[FloatImage, UInt8Image]:
        """Return both sources corrected; one that needs no correction is returned as it is.

        Args:
            stream: What is kept of the stream, at its next pair.
            thermal: The pair's thermal picture for the network, ``HxW`` float32 in [0, 1].
            visible: Its visible picture for the network: luma ``HxW`` or RGB ``HxWx3``, uint8.
            prior: Prior of the scene; None keeps the last one.
        """
        self._update_gains(stream, visible, prior)
        gain = self.gains.get
        if stripes := gain(_STRIPES, 0.0):
            thermal = _destriped(thermal, stripes)
        if noise := gain(_THERMAL_NOISE, 0.0):
            thermal = np.asarray(_blurred(thermal, noise), np.float32)
        if noise := gain(_NOISE, 0.0):
            visible = np.asarray(_blurred(visible, noise), np.uint8)
        if glare := gain(_GLARE, 0.0):
            thermal, visible = _without_glare(thermal, visible, glare)
        return thermal, visible

    def _update_gains(
        self, stream: StreamState, visible: UInt8Image, prior: ScenePrior | None
    ) -> None:
        """Move the gains towards those of the last prior; glare shows in the picture itself."""
        if prior is not None:
            self._targets = {_GLARE: prior_gain(prior.visible, "over_exposure")}
            if not self._glare_only:
                self._targets |= {
                    _NOISE: prior_gain(prior.visible, "noise"),
                    _THERMAL_NOISE: prior_gain(prior.thermal, "noise"),
                    _STRIPES: prior_gain(prior.thermal, "stripes"),
                }
        glare = max(self._targets.get(_GLARE, 0.0), _clipping(visible))
        for name, target in {**self._targets, _GLARE: glare}.items():
            self.gains[name] = steady_gain(stream, name, target)


def _clipping(visible: UInt8Image) -> float:
    """Return 0 to 1 for the share of the picture that is clipped."""
    planes = 1 if visible.ndim == 2 else visible.shape[2]
    clipped = cv2.inRange(visible, (_CLIPPED,) * planes, (255,) * planes)
    return float(np.interp(cv2.countNonZero(clipped) / clipped.size, _CLIPPED_SHARES, (0, 1)))


def _blurred(image: NDArray[Any], gain: float) -> NDArray[Any]:
    soft = cv2.GaussianBlur(image, (0, 0), _NOISE_SIGMA)
    return cv2.addWeighted(image, 1 - gain, soft, gain, 0)


def _without_glare(
    thermal: FloatImage, visible: UInt8Image, gain: float
) -> tuple[FloatImage, UInt8Image]:
    """Return both pictures with the bright part of the visible one modulated by the thermal one."""
    values = visible / np.float32(255)
    luma = values if values.ndim == 2 else cv2.cvtColor(values, cv2.COLOR_RGB2GRAY)
    over = np.maximum(luma - _KNEE, 0)
    dimmed = luma - np.float32(gain * (1 - _COLD_SHARE)) * over * (1 - thermal)
    scale = np.divide(dimmed, luma, out=np.ones_like(luma), where=over > 0)
    values = values * (scale if values.ndim == 2 else scale[..., None])
    share = over / (1 - _KNEE)
    weight = np.float32(gain) * share * share * (3 - 2 * share)
    return thermal + weight * (dimmed - thermal), np.asarray(np.rint(255 * values), np.uint8)


def _destriped(image: FloatImage, gain: float) -> FloatImage:
    """Subtract what most rows, then most columns, share of the fast changes along them."""
    for axis, kernel in ((0, (_STRIPE_WINDOW, 1)), (1, (1, _STRIPE_WINDOW))):
        fast = image - cv2.GaussianBlur(image, kernel, _STRIPE_SIGMA)
        image = image - np.float32(gain) * np.median(fast, axis, keepdims=True)
    return np.clip(image, 0, 1)
