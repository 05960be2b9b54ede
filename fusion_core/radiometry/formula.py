"""The formula of FLIR's cameras.

A black body of the temperature T (kelvin) gives ``U(T) = R1 / (R2 (exp(B / T) - F))`` counts above
the camera's zero. What arrives is ``e t w U(object) + (1 - e) t w U(reflected) + (1 - t) w U(air) +
(1 - w) U(window)``, with the emissivity e and the transmissions t of the air and w of a window
before the camera.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fusion_core.types import FloatImage, Radiometry

ZERO_CELSIUS_K: Final = 273.15
_LEAST_OBJECT: Final = 1e-6  # smallest radiance that has a temperature, in counts
_LEAST_RATIO: Final = np.float32(1 + 1e-7)


def radiance(kelvin: float, camera: Radiometry) -> float:
    """Return the counts above zero of a black body."""
    r1, b, f, _, r2 = camera.planck
    return r1 / (r2 * (math.exp(b / kelvin) - f))


def air_transmission(camera: Radiometry) -> float:
    """Return the share of the signal that passes the air, which may go a little above 1."""
    celsius = camera.air - ZERO_CELSIUS_K
    # Some cameras write percent.
    humidity = camera.humidity / 100 if camera.humidity > 2 else camera.humidity
    water = humidity * math.exp(
        1.5587 + 0.06939 * celsius - 0.00027816 * celsius**2 + 6.8455e-7 * celsius**3
    )
    path, root = math.sqrt(camera.distance), math.sqrt(max(water, 0.0))
    (alpha1, alpha2), (beta1, beta2) = camera.alpha, camera.beta
    return camera.x * math.exp(-path * (alpha1 + beta1 * root)) + (1 - camera.x) * math.exp(
        -path * (alpha2 + beta2 * root)
    )


def temperatures(counts: NDArray[np.uint16], camera: Radiometry) -> FloatImage:
    """Return degrees Celsius, ``HxW`` float32; NaN where counts lie below all temperatures."""
    whole, others = _shares(camera)
    r1, b, f, zero, r2 = camera.planck
    # Far fewer counts occur than there are pixels.
    coldest = int(counts.min())
    levels = np.arange(coldest, int(counts.max()) + 1, dtype=np.float64)
    own = (levels + zero - others) / whole
    ratio = r1 / (r2 * np.maximum(own, _LEAST_OBJECT)) + f
    kelvin = np.where(
        (own > _LEAST_OBJECT) & (ratio > 1), b / np.log(np.maximum(ratio, 1 + 1e-12)), np.nan
    )
    table = (kelvin - ZERO_CELSIUS_K).astype(np.float32)
    return np.asarray(np.take(table, counts - np.uint16(coldest)), np.float32)


def corrected(celsius: FloatImage, taken: Radiometry, wanted: Radiometry) -> FloatImage:
    """Return the temperatures that other assumptions about the scene give.

    Args:
        celsius: ``HxW`` degrees Celsius, NaN where unknown.
        taken: The assumptions that they were computed with.
        wanted: Others, for the same camera.

    Returns:
        ``HxW`` float32 degrees Celsius; NaN where the signal lies below all temperatures, too.
    """
    whole, others = _shares(taken)
    now, apart = _shares(wanted)
    r1, b, f, _, r2 = taken.planck
    level = np.float32(r1 / r2)
    kelvin = celsius + np.float32(ZERO_CELSIUS_K)
    with np.errstate(divide="ignore", invalid="ignore"):
        own = level / (np.exp(np.float32(b) / kelvin) - np.float32(f))
        own = own * np.float32(whole / now) + np.float32((others - apart) / now)
        ratio = level / own + np.float32(f)
        known = (own > _LEAST_OBJECT) & (ratio > _LEAST_RATIO)
        result = np.float32(b) / np.log(ratio) - np.float32(ZERO_CELSIUS_K)
    return np.asarray(np.where(known, result, np.float32(np.nan)), np.float32)


def _shares(camera: Radiometry) -> tuple[float, float]:
    """Return the share of the object's signal that arrives, and the counts of all else."""
    transmission = air_transmission(camera)
    window = camera.window_transmission
    if not (0 < window <= 1 and camera.window > 0):
        window = 1.0
    others = (1 - camera.emissivity) * transmission * window * radiance(camera.reflected, camera)
    others += (1 - transmission) * window * radiance(camera.air, camera)
    others += (1 - window) * (radiance(camera.window, camera) if window < 1 else 0.0)
    return camera.emissivity * transmission * window, others
