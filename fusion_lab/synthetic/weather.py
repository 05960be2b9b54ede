"""Haze, smoke, rain and snow between the cameras and the scene."""

from __future__ import annotations

import math

import cv2
import numpy as np

from fusion_core.types import FloatImage
from fusion_lab.synthetic.canvas import Canvas
from fusion_lab.synthetic.noise import fractal_noise
from fusion_lab.synthetic.timeline import Conditions

_SKY_M = 150.0
_QUARTER = 4
_SHEETS_M = (3.0, 5.0, 7.5, 10.5, 15.0, 22.0)
_PUFF = 512
_FALL = (560, 720)


class Weather:
    """Noise fields of one seed, and their effect on a picture."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng((seed, 2))
        self._puffs = tuple(_billows(rng) for _ in range(2))
        self._rain = tuple(_streaks(rng, length) for length in (13, 23, 37))
        self._snow = tuple(_flakes(rng, size) for size in (1.0, 1.7, 3.0))

    def veil(
        self, picture: FloatImage, canvas: Canvas, seconds: float, conditions: Conditions
    ) -> FloatImage:
        """Return a float32 RGB picture seen through the weather."""
        dark = 1 - 0.86 * conditions.night
        if conditions.haze > 0.01:
            picture = _attenuated(picture, canvas, 0.052 * conditions.haze, 212 * dark)
        if conditions.rain > 0.01:
            picture = _attenuated(picture, canvas, 0.014 * conditions.rain, 150 * dark)
            picture = self._rainfall(picture, seconds, conditions.rain * dark)
        if conditions.snow > 0.01:
            picture = _attenuated(picture, canvas, 0.022 * conditions.snow, 205 * dark)
            picture = self._snowfall(picture, seconds, conditions.snow * dark)
        if conditions.smoke > 0.01:
            picture = self._smoke(picture, canvas, seconds, conditions.smoke, dark)
        return picture

    def _smoke(
        self, picture: FloatImage, canvas: Canvas, seconds: float, strength: float, dark: float
    ) -> FloatImage:
        """Paint sheets of drifting smoke at rising distance over the picture, front to back."""
        height, width = canvas.owner.shape
        size = (width // _QUARTER, height // _QUARTER)
        inverse = cv2.resize(canvas.inverse_depth, size, interpolation=cv2.INTER_NEAREST)
        depth = 1.0 / np.maximum(inverse, np.float32(1 / _SKY_M))
        through, colour = np.ones_like(depth), np.zeros_like(depth)
        start = 0.0
        for number, distance in enumerate(_SHEETS_M):
            density, light = self._sheet(canvas, size, distance, number, seconds)
            behind = np.clip((depth - distance) / (0.6 * distance) + 0.5, 0, 1)
            thickness = 1.6 * density * behind
            thickness += 0.06 * np.clip(depth - start, 0, distance - start)
            passed = np.exp(np.float32(-strength) * thickness)
            colour += through * (1 - passed) * (148 + 78 * light)
            through *= passed
            start = distance
        layers = cv2.resize(np.dstack((through, colour * dark)), (width, height))
        tint = np.array([1.0, 0.985, 0.955], np.float32)
        return np.asarray(picture * layers[..., :1] + layers[..., 1:] * tint, np.float32)

    def _sheet(
        self, canvas: Canvas, size: tuple[int, int], distance: float, number: int, seconds: float
    ) -> tuple[FloatImage, FloatImage]:
        """Return density and shading of the smoke at one distance, fixed to the world."""
        corners = np.array([[0, 0, 1], [size[0], 0, 1], [0, size[1], 1]], np.float64)
        corners[:, :2] *= _QUARTER
        centre = canvas.camera.pose.centre
        places = (centre + distance * (corners @ canvas.camera.rays().T))[:, :2]
        per_m = 0.17 * _PUFF / (3.0 + 0.35 * distance)
        fields = []
        for layer, puff in enumerate(self._puffs):
            drift = np.array([0.9 + 0.5 * layer, 0.22 + 0.12 * layer]) * seconds
            start = np.array([131.0 * number + 71 * layer, 57.0 * number])
            base = (places + drift * (1 - 0.1 * number)) * per_m * (1 + 0.8 * layer) + start
            columns = (base[1] - base[0]) / size[0], (base[2] - base[0]) / size[1]
            warp = np.column_stack((*columns, base[0])).astype(np.float32)
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            fields.append(cv2.warpAffine(puff, warp, size, flags=flags, borderMode=cv2.BORDER_WRAP))
        mixed = fields[0] + 0.6 * fields[1]
        height_m = -(places[0, 1] + np.arange(size[1]) * (places[2, 1] - places[0, 1]) / size[1])
        low = np.clip(1.25 - height_m / 9.0, 0.15, 1.25).astype(np.float32)[:, None]
        density = np.clip(0.62 + 0.55 * mixed[..., 0], 0.32, 3) * low
        return np.asarray(density, np.float32), np.asarray(mixed[..., 1], np.float32)

    def _rainfall(self, picture: FloatImage, seconds: float, strength: float) -> FloatImage:
        """Add streaks of rain at three distances."""
        height, width = picture.shape[:2]
        for number, layer in enumerate(self._rain):
            offset = int(seconds * 9173) + 211 * number
            top, left = (offset * 37) % (_FALL[0] - height), (offset * 53) % (_FALL[1] - width)
            streak = layer[top : top + height, left : left + width, None]
            picture = picture + streak * (strength * (205 - picture))
        return np.asarray(picture * np.float32(1 - 0.12 * strength), np.float32)

    def _snowfall(self, picture: FloatImage, seconds: float, strength: float) -> FloatImage:
        """Add flakes that drift down at three distances."""
        height, width = picture.shape[:2]
        for number, layer in enumerate(self._snow):
            speed = 55.0 * (1.9**number)
            down = round(speed * seconds) % _FALL[0]
            aside = round(0.4 * speed * seconds + 14 * math.sin(seconds + number)) % _FALL[1]
            moved = np.roll(layer, (down, aside), axis=(0, 1))[:height, :width, None]
            picture = picture + moved * (strength * (240 - picture))
        return picture


def thermal_air(canvas: Canvas, conditions: Conditions) -> FloatImage:
    """Return apparent temperatures in degrees Celsius after the path through the air.

    Long-wave infrared passes smoke and haze far better than light does (the Beer-Lambert law
    with a small coefficient) and loses some contrast to rain and snow.
    """
    extinction = 0.0012 + 0.003 * conditions.haze + 0.004 * conditions.smoke
    extinction += 0.011 * max(conditions.rain, conditions.snow)
    depth = np.minimum(1.0 / np.maximum(canvas.inverse_depth, np.float32(1 / _SKY_M)), _SKY_M)
    passed = np.exp(np.float32(-extinction) * depth)
    return np.asarray(canvas.air + passed * (canvas.celsius - canvas.air), np.float32)


def _attenuated(
    picture: FloatImage, canvas: Canvas, extinction: float, airlight: float
) -> FloatImage:
    """Return the picture after the path through an even medium: I = J t + A (1 - t)."""
    depth = 1.0 / np.maximum(canvas.inverse_depth, np.float32(1 / _SKY_M))
    passed = np.exp(np.float32(-extinction) * depth)[..., None]
    light = np.array([0.985, 0.995, 1.01], np.float32) * np.float32(airlight)
    return np.asarray(light + passed * (picture - light), np.float32)


def _billows(rng: np.random.Generator) -> FloatImage:
    """Return ``512x512x2`` turbulent density and its shading by light from above."""
    plain = fractal_noise(rng, _PUFF, _PUFF, 150, 6, gain=0.58)
    bend_x = 26 * fractal_noise(rng, _PUFF, _PUFF, 110, 3)
    bend_y = 26 * fractal_noise(rng, _PUFF, _PUFF, 110, 3)
    y, x = np.mgrid[0:_PUFF, 0:_PUFF].astype(np.float32)
    curled = cv2.remap(plain, x + bend_x, y + bend_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    # Wrapped before the blur: the field is laid out in tiles and must not show their seams.
    above = np.roll(cv2.blur(np.pad(curled, 8, mode="wrap"), (9, 9))[8:-8, 8:-8], 14, axis=0)
    shading = np.clip(0.5 * (curled - above) + 0.25, -1, 1)
    return np.dstack((curled, shading)).astype(np.float32)


def _streaks(rng: np.random.Generator, length: int) -> FloatImage:
    """Return slanted streaks of one length with opacity in [0, 0.5]."""
    drops = (rng.uniform(size=_FALL) > 1 - 0.02 / length).astype(np.float32)
    kernel = np.zeros((length, length), np.float32)
    middle = length // 2
    cv2.line(kernel, (middle + length // 8, 0), (middle - length // 8, length - 1), 1.0, 1)
    spread = cv2.filter2D(drops, cv2.CV_32F, kernel / kernel.max())
    soft = cv2.GaussianBlur(spread, (0, 0), 0.4 + length / 60)
    return np.asarray(np.clip(0.62 * soft, 0, 0.5), np.float32)


def _flakes(rng: np.random.Generator, size: float) -> FloatImage:
    """Return soft flakes of one radius in pixels with opacity in [0, 0.95]."""
    flakes = (rng.uniform(size=_FALL) > 1 - 0.004 / size**1.6).astype(np.float32)
    flakes *= rng.uniform(0.5, 1.0, _FALL).astype(np.float32)
    soft = cv2.GaussianBlur(flakes, (0, 0), size, borderType=cv2.BORDER_REFLECT)
    opacity = np.clip(soft * np.float32(2 * math.pi * size**2), 0, 0.95)
    return np.asarray(opacity, np.float32)
