"""Correct sources that the scene prior calls degraded, for networks that do not use the prior."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.types import FloatImage, ScenePrior, UInt8Image

# Below the first probability a source stays as it is, bit by bit; the gain is 1 at the second.
_SUSPECT, _SURE = 0.6, 0.9
# The gains move by this much per frame, so that a new prior does not show as a jump.
_STEP = 0.1
# White noise keeps 1 / (2 sigma sqrt(pi)) of its deviation behind a Gaussian: 0.24.
_NOISE_SIGMA = 1.2
_STRIPE_SIGMA, _STRIPE_WINDOW = 8.0, 49
# Luma from which a glaring picture is clipped, and the darkest value that takes its place: a cold
# sky around the sun shall not become a black hole in the picture.
_CLIPPED, _DARKEST = 0.85, 0.65

_NOISE, _GLARE, _THERMAL_NOISE, _STRIPES = "noise", "glare", "thermal noise", "stripes"


class InputCorrection:
    """Removes from a degraded source what would degrade the result.

    * A noisy source is mixed with its Gaussian blur.
    * Stripes are removed from the thermal picture: what changes along a row faster than a Gaussian
      of eight pixels, median over all rows, is subtracted, and likewise along the columns.
    * Where a glaring visible picture is clipped the thermal picture takes its place, in the upper
      third of the range, so that what is hot stands out.

    Each correction has a gain, from 0 at a probability of 0.6 to 1 at 0.9, which moves by at most
    a tenth per frame.
    """

    def __init__(self) -> None:
        self.gains: dict[str, float] = {}

    def correct(
        self, thermal: FloatImage, visible: UInt8Image, prior: ScenePrior | None
    ) -> tuple[FloatImage, UInt8Image]:
        """Return both sources corrected; one that needs no correction is returned as it is.

        Args:
            thermal: ``HxW`` float32 in [0, 1].
            visible: Luma ``HxW`` or RGB ``HxWx3``, uint8.
            prior: Prior of the scene; None keeps the gains.
        """
        if prior is not None:
            self._update_gains(prior)
        gain = self.gains.get
        if stripes := gain(_STRIPES, 0.0):
            thermal = _destriped(thermal, stripes)
        if noise := gain(_THERMAL_NOISE, 0.0):
            thermal = np.asarray(_blurred(thermal, noise), np.float32)
        if noise := gain(_NOISE, 0.0):
            visible = np.asarray(_blurred(visible, noise), np.uint8)
        if glare := gain(_GLARE, 0.0):
            visible = _filled(visible, thermal, glare)
        return thermal, visible

    def _update_gains(self, prior: ScenePrior) -> None:
        """Move the gains towards those of the prior."""
        targets = {
            _NOISE: _gain(prior.visible, "noise"),
            _GLARE: _gain(prior.visible, "over_exposure"),
            _THERMAL_NOISE: _gain(prior.thermal, "noise"),
            _STRIPES: _gain(prior.thermal, "stripes"),
        }
        if not self.gains:
            self.gains = targets
        for name, target in targets.items():
            now = self.gains[name]
            self.gains[name] = now + min(_STEP, max(-_STEP, target - now))


def _gain(probabilities: Mapping[str, float], kind: str) -> float:
    return float(np.clip((probabilities.get(kind, 0.0) - _SUSPECT) / (_SURE - _SUSPECT), 0, 1))


def _blurred(image: NDArray[Any], gain: float) -> NDArray[Any]:
    soft = cv2.GaussianBlur(image, (0, 0), _NOISE_SIGMA)
    return cv2.addWeighted(image, 1 - gain, soft, gain, 0)


def _filled(visible: UInt8Image, thermal: FloatImage, gain: float) -> UInt8Image:
    """Return the picture with the thermal one in its upper third where its luma is clipped."""
    values = visible / np.float32(255)
    luma = values if values.ndim == 2 else cv2.cvtColor(values, cv2.COLOR_RGB2GRAY)
    weight = np.clip((luma - _CLIPPED) / (1 - _CLIPPED), 0, 1) * np.float32(gain)
    instead = _DARKEST + (1 - _DARKEST) * thermal
    if values.ndim == 3:
        weight, instead = weight[..., None], instead[..., None]
    filled = 255 * (values + weight * (instead - values))
    return np.asarray(np.rint(filled), np.uint8)


def _destriped(image: FloatImage, gain: float) -> FloatImage:
    """Subtract what most rows, then most columns, share of the fast changes along them."""
    for axis, kernel in ((0, (_STRIPE_WINDOW, 1)), (1, (1, _STRIPE_WINDOW))):
        fast = image - cv2.GaussianBlur(image, kernel, _STRIPE_SIGMA)
        image = image - np.float32(gain) * np.median(fast, axis, keepdims=True)
    return np.clip(image, 0, 1)
