"""Things of a street that look like people to one of the cameras, each as one flat picture.

Parked two-wheelers whose engine may still be warm, lamps, vents, window grilles, posts and animals
are warm without being people; posters and statues are people to the colour camera only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.types import FloatImage
from fusion_lab.synthetic.noise import fractal_noise

_Point = tuple[float, float]
_SHIFT: Final = 4  # binary places of the coordinates that OpenCV draws with


@dataclass(frozen=True, slots=True)
class Sprite:
    """A flat picture of one thing in both bands.

    Attributes:
        rgb: ``HxWx3`` float32 in [0, 255].
        heat: ``HxW`` float32 kelvins over the air.
        cover: ``HxW`` float32 coverage in [0, 1].
        label: ``person``, ``motorcycle``, ``bicycle``, or empty for what is no object.
        height_m: Height in metres.
    """

    rgb: FloatImage
    heat: FloatImage
    cover: FloatImage
    label: str
    height_m: float


class _Sketch:
    """Shapes on an empty picture of some metres, 80 pixels each."""

    per_m = 80

    def __init__(self, width_m: float, height_m: float) -> None:
        shape = round(height_m * self.per_m), round(width_m * self.per_m)
        self._height_m = height_m
        self.rgb = np.zeros((*shape, 3), np.float32)
        self.heat = np.zeros(shape, np.float32)
        self.cover = np.zeros(shape, np.float32)

    def _lay(self, mask: NDArray[np.uint8], colour: NDArray[np.float64], kelvin: float) -> None:
        share = mask.astype(np.float32) / np.float32(255)
        self.rgb += share[..., None] * (colour.astype(np.float32) - self.rgb)
        self.heat += share * (np.float32(kelvin) - self.heat)
        np.maximum(self.cover, share, out=self.cover)

    def _pixels(self, points: list[_Point]) -> NDArray[np.int32]:
        flipped = [(x, self._height_m - y) for x, y in points]
        scaled = np.array(flipped, np.float64) * (self.per_m * 2**_SHIFT)
        return np.asarray(np.rint(scaled), np.int32)

    def shape(self, points: list[_Point], colour: NDArray[np.float64], kelvin: float) -> None:
        """Fill a polygon of (right, up) in metres."""
        mask = np.zeros(self.cover.shape, np.uint8)
        cv2.fillPoly(mask, [self._pixels(points)], 255, cv2.LINE_AA, _SHIFT)
        self._lay(mask, colour, kelvin)

    def line(
        self, points: list[_Point], width_m: float, colour: NDArray[np.float64], kelvin: float
    ) -> None:
        """Draw connected strokes."""
        mask = np.zeros(self.cover.shape, np.uint8)
        width = max(1, round(width_m * self.per_m))
        cv2.polylines(mask, [self._pixels(points)], False, 255, width, cv2.LINE_AA, _SHIFT)
        self._lay(mask, colour, kelvin)

    def disc(
        self,
        centre: _Point,
        radii: tuple[float, float],
        colour: NDArray[np.float64],
        kelvin: float,
        rim_m: float = 0.0,
    ) -> None:
        """Draw an ellipse: filled, or its rim only."""
        mask = np.zeros(self.cover.shape, np.uint8)
        ((x, y),) = self._pixels([centre]).tolist()
        axes = tuple(round(radius * self.per_m * 2**_SHIFT) for radius in radii)
        width = max(1, round(rim_m * self.per_m)) if rim_m else -1
        cv2.ellipse(mask, (x, y), axes, 0, 0, 360, 255, width, cv2.LINE_AA, _SHIFT)
        self._lay(mask, colour, kelvin)

    def done(self, rng: np.random.Generator, label: str = "") -> Sprite:
        """Return what was drawn, with the grain and the shading of a real surface."""
        height, width = self.cover.shape
        grain = 1 + np.float32(0.12) * fractal_noise(rng, height, width, 12, 3)
        rgb = np.clip(self.rgb * grain[..., None], 0, 255)
        heat = self.heat + np.float32(0.5) * fractal_noise(rng, height, width, 20, 3)
        cover = np.asarray(cv2.GaussianBlur(self.cover, (0, 0), 0.7), np.float32)
        rgb, heat, cover = (plane.astype(np.float32) for plane in (rgb, heat, cover))
        if rng.random() < 0.5:
            rgb, heat, cover = (np.ascontiguousarray(p[:, ::-1]) for p in (rgb, heat, cover))
        return Sprite(rgb, heat, cover, label, self._height_m)


def motorcycle(rng: np.random.Generator) -> Sprite:
    """Return a parked scooter or motorcycle from its side or obliquely; its engine may be warm."""
    squeeze = float(rng.uniform(0.45, 1.0))  # seen obliquely it is shorter
    sketch = _Sketch(2.1 * squeeze, 1.35)
    paint, dark = _paint(rng), np.full(3, rng.uniform(15, 60))
    warm = float(rng.choice([0.0, rng.uniform(2, 9), rng.uniform(8, 28)]))
    air = float(rng.uniform(-1.5, 2.0))

    def at(x: float, y: float) -> _Point:
        return x * squeeze, y

    tyre = rng.uniform(0.24, 0.31)
    for x in (0.38, 1.70):
        sketch.disc(at(x, tyre), (tyre * squeeze, tyre), dark, air + 0.15 * warm)
        sketch.disc(at(x, tyre), (0.55 * tyre * squeeze, 0.55 * tyre), 2.2 * dark, air)
    sketch.shape([at(0.5, 0.3), at(1.25, 0.28), at(1.3, 0.62), at(0.7, 0.75)], paint, air)
    block = [at(0.78, 0.25), at(1.12, 0.25), at(1.12, 0.5), at(0.78, 0.5)]
    sketch.shape(block, dark * 1.5, air + warm)
    sketch.line([at(0.75, 0.27), at(0.15, 0.36)], 0.08, np.full(3, 120.0), air + 0.8 * warm)
    seat = rng.uniform(0.74, 0.86)
    sketch.shape(
        [at(0.1, seat), at(0.95, seat - 0.06), at(0.95, seat - 0.16), at(0.15, seat - 0.1)],
        dark,
        air + float(rng.choice([0.0, rng.uniform(0, 6)])),
    )
    sketch.shape(
        [at(0.1, seat - 0.1), at(0.6, seat - 0.15), at(0.4, 0.5), at(0.2, 0.5)], paint, air
    )
    sketch.line([at(1.70, tyre), at(1.42, 1.02)], 0.09, dark * 1.4, air)
    apron = [at(1.28, 0.4), at(1.5, 0.45), at(1.46, 1.0), at(1.36, 1.02)]
    sketch.shape(apron, paint * rng.uniform(0.7, 1.0), air)
    sketch.line([at(1.48, 1.02), at(1.25, 1.10)], 0.05, dark, air)
    sketch.disc(at(1.50, 0.92), (0.08 * squeeze, 0.08), np.full(3, 200.0), air)
    if rng.random() < 0.7:
        sketch.line([at(1.36, 1.05), at(1.34, 1.25)], 0.03, dark, air)
        sketch.disc(at(1.34, 1.27), (0.09 * squeeze, 0.05), dark * 2, air - 1)
    if rng.random() < 0.4:
        sketch.shape(
            [
                at(0.0, seat + 0.02),
                at(0.35, seat + 0.02),
                at(0.33, seat + 0.3),
                at(0.02, seat + 0.3),
            ],
            _paint(rng),
            air,
        )
    if rng.random() < 0.25:  # a cape over the handlebar
        sketch.shape([at(1.2, 0.5), at(1.62, 0.5), at(1.5, 1.15), at(1.25, 1.12)], _paint(rng), air)
    return sketch.done(rng, "motorcycle")


def bicycle(rng: np.random.Generator) -> Sprite:
    """Return a parked bicycle."""
    squeeze = float(rng.uniform(0.5, 1.0))
    sketch = _Sketch(1.85 * squeeze, 1.1)
    paint, dark, air = _paint(rng), np.full(3, rng.uniform(20, 70)), float(rng.uniform(-1.5, 2))

    def at(x: float, y: float) -> _Point:
        return x * squeeze, y

    for x in (0.36, 1.46):
        sketch.disc(at(x, 0.34), (0.33 * squeeze, 0.33), dark, air, rim_m=0.045)
    frame = [at(0.36, 0.34), at(0.78, 0.3), at(1.3, 0.75), at(0.68, 0.78), at(0.78, 0.3)]
    sketch.line(frame, 0.045, paint, air)
    sketch.line([at(0.36, 0.34), at(0.68, 0.78), at(0.64, 0.92)], 0.04, paint, air)
    sketch.line([at(1.46, 0.34), at(1.28, 0.98), at(1.12, 1.02)], 0.04, paint, air)
    sketch.line([at(0.52, 0.93), at(0.78, 0.92)], 0.07, dark, air)
    if rng.random() < 0.5:
        basket = [at(1.32, 0.7), at(1.68, 0.7), at(1.72, 0.98), at(1.3, 0.98)]
        sketch.shape(basket, dark * 2, air)
    return sketch.done(rng, "bicycle")


def lamp(rng: np.random.Generator) -> Sprite:
    """Return a warm lamp: a glowing disc or tube, with or without a post."""
    sketch = _Sketch(0.5, 1.6)
    kelvin, glow = float(rng.uniform(4, 30)), rng.uniform(120, 255, 3)
    if rng.random() < 0.6:
        sketch.line([(0.25, 0.0), (0.25, 1.3)], 0.06, np.full(3, 70.0), 0.5)
    radii = (float(rng.uniform(0.05, 0.22)), float(rng.uniform(0.05, 0.25)))
    sketch.disc((0.25, 1.32), radii, glow, kelvin)
    return sketch.done(rng)


def grille(rng: np.random.Generator) -> Sprite:
    """Return a warm window, door or vent: its bars or slats stand before a warm room."""
    width, height = float(rng.uniform(0.4, 1.8)), float(rng.uniform(0.5, 2.0))
    sketch = _Sketch(width, height)
    kelvin, tone = float(rng.uniform(2, 14)), rng.uniform(20, 160, 3)
    whole = [(0.0, 0.0), (width, 0.0), (width, height), (0.0, height)]
    sketch.shape(whole, tone, kelvin)
    panes = int(rng.integers(1, 5))
    for pane in range(panes):  # some of them are open, curtained or lit
        left, right = width * pane / panes, width * (pane + 0.9) / panes
        low = float(rng.uniform(0, 0.4)) * height
        corners = [(left, low), (right, low), (right, height), (left, height)]
        sketch.shape(corners, tone * rng.uniform(0.3, 1.3), kelvin * float(rng.uniform(0.2, 1.8)))
    bar, cool = np.full(3, rng.uniform(20, 220)), kelvin * float(rng.uniform(0.0, 0.5))
    step = float(rng.uniform(0.1, 0.35))
    if rng.random() < 0.75:
        for y in np.arange(step / 2, height, step):
            sketch.line([(0.0, y), (width, y)], 0.35 * step, bar, cool)
    if rng.random() < 0.6:
        for x in np.arange(step / 2, width, 1.5 * step):
            sketch.line([(x, 0.0), (x, height)], 0.3 * step, bar, cool)
    sketch.line([*whole, whole[0]], 0.06, bar, cool)
    return sketch.done(rng)


def post(rng: np.random.Generator) -> Sprite:
    """Return a bollard, pillar, hydrant or bin, warmed by the sun or from within."""
    width, height = float(rng.uniform(0.15, 0.6)), float(rng.uniform(0.5, 1.8))
    sketch = _Sketch(width + 0.1, height)
    kelvin, colour = float(rng.uniform(-2, 10)), _paint(rng)
    body = [(0.05, 0.0), (0.05 + width, 0.0), (0.03 + width, height), (0.07, height)]
    sketch.shape(body, colour, kelvin)
    if rng.random() < 0.5:
        level = float(rng.uniform(0.4, 0.9)) * height
        sketch.line([(0.05, level), (0.05 + width, level)], 0.1, 255 - colour, kelvin * 0.7)
    return sketch.done(rng)


def animal(rng: np.random.Generator) -> Sprite:
    """Return a dog or cat from its side: warm, on four legs."""
    sketch = _Sketch(1.0, 0.72)
    fur, kelvin = np.full(3, rng.uniform(25, 190)) * rng.uniform(0.8, 1.1, 3), rng.uniform(6, 13)
    sketch.disc((0.45, 0.42), (0.28, 0.13), fur, kelvin)
    for x in (0.24, 0.31, 0.6, 0.67):
        sketch.line(
            [(x, 0.40), (x + float(rng.uniform(-0.06, 0.06)), 0.02)], 0.07, fur, kelvin * 0.7
        )
    sketch.line([(0.66, 0.45), (0.78, 0.58)], 0.13, fur, kelvin)
    sketch.disc((0.82, 0.60), (0.11, 0.08), fur, kelvin * 1.2)
    sketch.line([(0.18, 0.46), (0.04, 0.62)], 0.05, fur, kelvin * 0.5)
    return sketch.done(rng)


CLUTTER: Final[tuple[tuple[float, Callable[[np.random.Generator], Sprite]], ...]] = (
    (0.34, motorcycle),
    (0.12, bicycle),
    (0.10, lamp),
    (0.22, grille),
    (0.12, post),
    (0.10, animal),
)
"""Share of each kind, and what draws it."""


def draw_clutter(rng: np.random.Generator) -> Sprite:
    """Return one random thing that is no person."""
    shares = np.array([share for share, _ in CLUTTER])
    return CLUTTER[int(rng.choice(len(CLUTTER), p=shares / shares.sum()))][1](rng)


def _paint(rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a colour: often gray, black or white, sometimes bright."""
    gray = np.full(3, rng.uniform(15, 230))
    bright = rng.uniform(20, 230, 3)
    share = float(rng.choice([0.05, 0.15, 0.9]))
    return np.asarray(gray + share * (bright - gray))
