"""Haze, smoke, rain and snow: what is in the air between the camera and the scene."""

from __future__ import annotations

import math

import cv2
import numpy as np

from fusion_core.types import FloatImage
from fusion_lab.synthetic.noise import fractal_noise
from fusion_lab.training.degradations.depth import DepthProvider
from fusion_lab.training.degradations.operation import REFERENCE_ROWS, Operation, luma, per_pixel

_EXPOSURE_S = 1 / 90


class Haze(Operation):
    """Koschmieder's law I = J t + A (1 - t), t = exp(-beta d): beta 0.6-3, A 0.7-1.

    The air is never brighter than the scene that lights it, so haze at night stays dark.
    """

    def __init__(self, severity: float, rng: np.random.Generator, depth: DepthProvider) -> None:
        super().__init__(severity, rng)
        self._depth = depth
        self._beta = 3.0 * severity
        self._air = rng.uniform(0.7, 1.0) + rng.uniform(-0.03, 0.03, 3)

    def __call__(self, picture: FloatImage, seconds: float) -> FloatImage:  # noqa: ARG002
        """Return the picture seen through haze."""
        distance = cv2.GaussianBlur(self._depth.depth(picture), (0, 0), 2)
        passed = np.clip(np.exp(-self._beta * distance), 0.05, 1).astype(np.float32)
        return veil(picture, passed, self._air * daylight(picture))


class Smoke(Operation):
    """Drifting clouds of fractal density with soft edges: I = J t + A (1 - t), A 0.45-0.95."""

    def __init__(self, severity: float, rng: np.random.Generator) -> None:
        super().__init__(severity, rng)
        self._thickness = 2.6 * severity
        self._air = rng.uniform(0.45, 0.95) + rng.uniform(-0.02, 0.02, 3)
        self._cover = rng.uniform(-0.5, 0.7)
        self._cell = rng.uniform(130, 320)
        self._drift = rng.uniform(-60, 60), rng.uniform(-35, -5)
        self._clouds: list[FloatImage] = []

    def __call__(self, picture: FloatImage, seconds: float) -> FloatImage:
        """Return the picture behind smoke."""
        height, width = picture.shape[:2]
        if not self._clouds or self._clouds[0].shape != (height, width):
            rng = np.random.default_rng(self._seed)
            cell = self._cell * height / REFERENCE_ROWS
            self._clouds = [
                fractal_noise(rng, height, width, cell / n, 5, gain=0.42) for n in (1, 2)
            ]
        scale = height / REFERENCE_ROWS
        across, up = (speed * seconds * scale for speed in self._drift)
        cloud = scroll(self._clouds[0], across, up) + 0.5 * scroll(
            self._clouds[1], 1.6 * across, 1.3 * up
        )
        density = np.log1p(np.exp(1.3 * (cloud + self._cover))) / 1.3
        passed = np.exp(np.float32(-self._thickness) * density)
        shade = (0.94 + 0.06 * np.clip(self._clouds[0], -1, 1)).astype(np.float32)
        return veil(picture, passed, self._air * daylight(picture), shade)


class Rain(Operation):
    """Streaks at three distances, screened over the picture; heavy rain adds a veil exp(-0.3 d).

    Lengths 10-50 px, widths 1-3 px, up to 45 degrees off the vertical. A streak is as long as the
    drop falls in one exposure, which also gives its speed.
    """

    def __init__(self, severity: float, rng: np.random.Generator, depth: DepthProvider) -> None:
        super().__init__(severity, rng)
        self._depth = depth
        self._angle = math.radians(rng.uniform(-35, 35))
        longest = rng.uniform(25, 50)
        self._layers = [(longest * share, 1 + 1.3 * share) for share in (0.35, 0.6, 1.0)]
        self._density = rng.uniform(0.7, 1.3)
        self._light = rng.uniform(0.75, 0.95)
        self._streaks: list[FloatImage] = []

    def __call__(self, picture: FloatImage, seconds: float) -> FloatImage:
        """Return the picture in rain."""
        shape = picture.shape[:2]
        scale = shape[0] / REFERENCE_ROWS
        if not self._streaks or self._streaks[0].shape != shape:
            rng = np.random.default_rng(self._seed)
            self._streaks = [self._layer(rng, shape, scale, *layer) for layer in self._layers]
        light = daylight(picture)
        if self.severity > 0.5:
            far = np.exp(-0.3 * 2 * (self.severity - 0.5) * self._depth.depth(picture))
            picture = veil(picture, far.astype(np.float32), np.full(3, 0.75 * light))
        bright = np.zeros(shape, np.float32)
        for streaks, (length, _) in zip(self._streaks, self._layers, strict=True):
            fallen = length * scale * seconds / _EXPOSURE_S
            moved = scroll(streaks, fallen * math.sin(self._angle), fallen * math.cos(self._angle))
            bright = np.maximum(bright, moved)
        opacity = per_pixel(bright, picture)
        return np.asarray(picture + opacity * (self._light * max(light, 0.4) - picture).clip(0))

    def _layer(
        self,
        rng: np.random.Generator,
        shape: tuple[int, ...],
        scale: float,
        length: float,
        width: float,
    ) -> FloatImage:
        """Return tileable streaks with opacity in [0, 0.75]."""
        length, width = max(3.0, length * scale), max(0.8, width * scale)
        share = 0.09 * self._density * self.severity / (length * width)
        drops = (rng.random(shape) < share) * rng.uniform(0.35, 1.0, shape)
        kernel = line_kernel(length, math.pi / 2 - self._angle)
        spread = filter_wrapped(drops.astype(np.float32), kernel / kernel.max())
        soft = cv2.GaussianBlur(spread, (0, 0), 0.35 * width)
        peak = 0.35 + 0.4 * self.severity
        return np.asarray(np.clip(1.6 * peak * soft, 0, peak), np.float32)


class Snow(Operation):
    """Flakes of three sizes (1-9 px) that cover 1-12 % of the picture, and a light veil."""

    def __init__(self, severity: float, rng: np.random.Generator, depth: DepthProvider) -> None:
        super().__init__(severity, rng)
        self._depth = depth
        self._white = rng.uniform(0.85, 1.0)
        self._wind = rng.uniform(-0.6, 0.6)
        self._blur = rng.uniform(0, 15) * rng.random()
        self._opacity = rng.uniform(0.6, 1.0)
        self._radii = [radius * rng.uniform(0.8, 1.25) for radius in (0.8, 1.6, 3.2)]
        self._flakes: list[FloatImage] = []

    def __call__(self, picture: FloatImage, seconds: float) -> FloatImage:
        """Return the picture in falling snow."""
        shape = picture.shape[:2]
        scale = shape[0] / REFERENCE_ROWS
        if not self._flakes or self._flakes[0].shape != shape:
            rng = np.random.default_rng(self._seed)
            self._flakes = [self._layer(rng, shape, radius * scale) for radius in self._radii]
        light = max(daylight(picture), 0.45)
        far = np.exp(-0.8 * self.severity * self._depth.depth(picture)).astype(np.float32)
        picture = veil(picture, far, np.full(3, 0.85 * light))
        for flakes, radius in zip(self._flakes, self._radii, strict=True):
            down = 95 * radius * scale * seconds
            aside = self._wind * down + 9 * scale * math.sin(1.3 * seconds + radius)
            moved = per_pixel(scroll(flakes, aside, down), picture)
            picture = picture + moved * (self._white * light - picture)
        return np.asarray(picture, np.float32)

    def _layer(self, rng: np.random.Generator, shape: tuple[int, ...], radius: float) -> FloatImage:
        """Return tileable flakes of one size with opacity in [0, 1]."""
        radius = max(radius, 0.6)
        share = 0.04 * self.severity / (math.pi * radius**2)
        seeds = (rng.random(shape) < share) * rng.uniform(0.5, 1.0, shape)
        kernel = disc_kernel(radius)
        flakes = filter_wrapped(seeds.astype(np.float32), kernel / kernel.max())
        length = self._blur * radius / 3.2
        if length > 1.5:
            flakes = filter_wrapped(flakes, line_kernel(length, math.pi / 2 - self._wind))
        soft = cv2.GaussianBlur(flakes, (0, 0), 0.4 + 0.25 * radius)
        return np.asarray(np.clip(1.25 * self._opacity * soft, 0, self._opacity), np.float32)


def veil(
    picture: FloatImage,
    passed: FloatImage,
    air: np.ndarray,
    shade: FloatImage | None = None,
) -> FloatImage:
    """Return J t + A (1 - t), with the mean of A for gray pictures."""
    light = np.asarray(air, np.float32) if picture.ndim == 3 else np.float32(np.mean(air))
    through = per_pixel(passed, picture)
    glow = light if shade is None else light * per_pixel(shade, picture)
    return np.asarray(picture * through + glow * (1 - through), np.float32)


def daylight(picture: FloatImage) -> float:
    """Return how bright the air can be, from 0.2 in the dark to 1 by day."""
    bright = float(np.percentile(luma(picture)[::4, ::4], 85))
    return min(1.0, max(0.2, 1.5 * bright))


def scroll(tile: FloatImage, right: float, down: float) -> FloatImage:
    """Return a tileable plane moved by a fraction of pixels, wrapped at the borders."""
    height, width = tile.shape
    whole_x, whole_y = math.floor(right), math.floor(down)
    rolled = np.roll(tile, (whole_y % height, whole_x % width), axis=(0, 1))
    part_x, part_y = right - whole_x, down - whole_y
    if part_x < 0.01 and part_y < 0.01:
        return rolled
    beside = (1 - part_x) * rolled + part_x * np.roll(rolled, 1, axis=1)
    mixed = (1 - part_y) * beside + part_y * np.roll(beside, 1, axis=0)
    return np.asarray(mixed, np.float32)


def filter_wrapped(tile: FloatImage, kernel: FloatImage) -> FloatImage:
    """Convolve as if the plane went on around its borders."""
    margin = max(kernel.shape) // 2 + 1
    padded = np.pad(tile, margin, mode="wrap")
    filtered = cv2.filter2D(padded, cv2.CV_32F, kernel)
    return np.asarray(filtered[margin:-margin, margin:-margin], np.float32)


def line_kernel(length: float, angle: float) -> FloatImage:
    """Return a line of unit sum; the angle is in radians from the x axis towards y."""
    size = max(3, 2 * math.ceil(length / 2) + 1)
    middle, fine = size // 2, 16
    end = np.array([math.cos(angle), math.sin(angle)]) * (length - 1) / 2
    first, last = (np.rint((middle + sign * end) * fine).astype(int) for sign in (-1, 1))
    kernel = np.zeros((size, size), np.uint8)
    cv2.line(kernel, tuple(first.tolist()), tuple(last.tolist()), 255, 1, cv2.LINE_AA, 4)
    return np.asarray(kernel / float(kernel.sum()), np.float32)


def disc_kernel(radius: float) -> FloatImage:
    """Return a disc of unit sum with a soft rim of one pixel."""
    reach = math.ceil(radius)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1)
    return np.asarray(disc / disc.sum(), np.float32)
