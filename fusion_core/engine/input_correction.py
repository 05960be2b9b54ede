"""Sources that the scene prior calls degraded count less, for networks that do not know it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.types import FloatImage, ScenePrior, UInt8Image

# Below this probability a source stays as it is, bit by bit; the full answer comes at _SURE.
_SUSPECT, _SURE = 0.6, 0.9
# The answers move by this much per frame, so that a new prior does not show as a jump.
_STEP = 0.1
# White noise keeps 1 / (2 sigma sqrt(pi)) of its deviation behind a Gaussian: 0.24.
_NOISE_SIGMA = 1.2
_STRIPE_SIGMA, _STRIPE_WINDOW = 8.0, 49
# Luma from which a glaring picture shows nothing, and the darkest value that takes its place: a
# cold sky around the sun shall not become a black hole in the picture.
_CLIPPED, _DARKEST = 0.85, 0.65

_NOISE, _GLARE, _THERMAL_NOISE, _STRIPES = "noise", "glare", "thermal noise", "stripes"


class InputCorrection:
    """Takes from a degraded source what would spoil the result.

    * A noisy source gives its detail up: it is mixed with its Gaussian blur.
    * Stripes go out of the thermal picture: what changes along a row faster than a Gaussian of
      eight pixels, median over all rows, is subtracted, and likewise along the columns.
    * Where a glaring visible picture is clipped it takes the thermal picture, laid into the upper
      third of the range: what is hot stands out again, and what is cold is gray.

    Each answer is scaled by how sure the prior is, from nothing at a probability of 0.6 to all at
    0.9, and moves by a tenth per frame.
    """

    def __init__(self) -> None:
        self.gains: dict[str, float] = {}

    def correct(
        self, thermal: FloatImage, luma: UInt8Image, prior: ScenePrior | None
    ) -> tuple[FloatImage, UInt8Image]:
        """Return both sources correct_inputs; those that need none are returned as they are.

        Args:
            thermal: ``HxW`` float32 in [0, 1].
            luma: ``HxW`` uint8.
            prior: What the prior says; None keeps the answers.
        """
        if prior is not None:
            self._follow(prior)
        gain = self.gains.get
        if stripes := gain(_STRIPES, 0.0):
            thermal = _destriped(thermal, stripes)
        if noise := gain(_THERMAL_NOISE, 0.0):
            thermal = np.asarray(_blurred(thermal, noise), np.float32)
        if noise := gain(_NOISE, 0.0):
            luma = np.asarray(_blurred(luma, noise), np.uint8)
        if glare := gain(_GLARE, 0.0):
            luma = _filled(luma, thermal, glare)
        return thermal, luma

    def _follow(self, prior: ScenePrior) -> None:
        """Move the answers towards what the prior asks for."""
        wanted = {
            _NOISE: _sure(prior.visible, "noise"),
            _GLARE: _sure(prior.visible, "over_exposure"),
            _THERMAL_NOISE: _sure(prior.thermal, "noise"),
            _STRIPES: _sure(prior.thermal, "stripes"),
        }
        if not self.gains:
            self.gains = wanted
        for name, goal in wanted.items():
            now = self.gains[name]
            self.gains[name] = now + min(_STEP, max(-_STEP, goal - now))


def _sure(probabilities: Mapping[str, float], kind: str) -> float:
    return float(np.clip((probabilities.get(kind, 0.0) - _SUSPECT) / (_SURE - _SUSPECT), 0, 1))


def _blurred(image: NDArray[Any], gain: float) -> NDArray[Any]:
    soft = cv2.GaussianBlur(image, (0, 0), _NOISE_SIGMA)
    return cv2.addWeighted(image, 1 - gain, soft, gain, 0)


def _filled(luma: UInt8Image, thermal: FloatImage, gain: float) -> UInt8Image:
    """Return the luma with the thermal picture in its upper third where it is clipped."""
    values = luma / np.float32(255)
    weight = np.clip((values - _CLIPPED) / (1 - _CLIPPED), 0, 1) * np.float32(gain)
    instead = _DARKEST + (1 - _DARKEST) * thermal
    filled = 255 * (values + weight * (instead - values))
    return np.asarray(np.rint(filled), np.uint8)


def _destriped(image: FloatImage, gain: float) -> FloatImage:
    """Subtract what most rows, then most columns, share of the fast changes along them."""
    for axis, kernel in ((0, (_STRIPE_WINDOW, 1)), (1, (1, _STRIPE_WINDOW))):
        fast = image - cv2.GaussianBlur(image, kernel, _STRIPE_SIGMA)
        image = image - np.float32(gain) * np.median(fast, axis, keepdims=True)
    return np.clip(image, 0, 1)
