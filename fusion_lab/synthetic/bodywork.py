"""Dimensions of cars and the pictures of their panels in both bands."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from fusion_core.types import FloatImage
from fusion_lab.synthetic.canvas import Texture
from fusion_lab.synthetic.noise import fractal_noise

_PER_M = 72


@dataclass(frozen=True, slots=True)
class CarShape:
    """Side profile of a car: positions forward of the middle and heights, in metres."""

    length: float = 4.35
    width: float = 1.78
    belt: float = 0.94
    roof: float = 1.47
    hood: float = 0.78
    screen_foot: float = 1.05
    screen_top: float = 0.30
    rear_top: float = -1.05
    rear_foot: float = -1.80


VAN = CarShape(4.9, 1.95, 1.12, 2.05, 0.98, 1.75, 1.20, -2.25, -2.40)
SEDAN = CarShape()


def _blank(
    width_m: float, height_m: float, paint: FloatImage, heat: float
) -> tuple[FloatImage, FloatImage]:
    """Return a painted panel, darker towards the bottom, and its heat."""
    rows, columns = round(height_m * _PER_M), round(width_m * _PER_M)
    fade = np.linspace(1.08, 0.66, rows, dtype=np.float32)[:, None, None]
    rgb = np.broadcast_to(fade * paint, (rows, columns, 3)).astype(np.float32)
    return rgb, np.full((rows, columns), heat, np.float32)


def sheet_picture(
    rng: np.random.Generator, paint: FloatImage, heat: float, length_m: float, width_m: float
) -> Texture:
    """Return a bonnet, lid or roof with a weak reflection of the sky."""
    rgb, warmth = _blank(width_m, length_m, paint, heat)
    rows, columns = warmth.shape
    sheen = np.exp(-((np.linspace(-1, 1, columns, dtype=np.float32)[None, :] - 0.2) ** 2) / 0.18)
    rgb = np.broadcast_to(rgb.mean(axis=(0, 1)), rgb.shape) + 26 * sheen[..., None]
    rgb[:2] *= 0.6
    rgb[-2:] *= 0.7
    blob = np.exp(-(np.linspace(-1, 1, columns, dtype=np.float32)[None, :] ** 2) / 0.5)
    warmth = warmth * (0.72 + 0.28 * blob) + 0.3 * fractal_noise(rng, rows, columns, 40, 3)
    return Texture.build(np.asarray(rgb, np.float32), np.asarray(warmth, np.float32))


def glass_picture(
    rng: np.random.Generator,
    width_m: float,
    height_m: float,
    paint: FloatImage | None = None,
) -> Texture:
    """Return dark glass that reflects the cold sky; side windows have a painted post."""
    rows, columns = round(height_m * _PER_M), round(width_m * _PER_M)
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
    slant = np.clip(1.2 - np.abs((x / columns - 0.35) + 0.5 * (y / rows)) * 2.4, 0, 1)
    top = 1 - y / rows
    rgb = np.array([26, 32, 38], np.float32) + (46 * top + 50 * slant)[..., None] * np.array(
        [0.85, 1.0, 1.15], np.float32
    )
    heat = -3.0 * top + 0.5 + 0.2 * fractal_noise(rng, rows, columns, 40, 2)
    edge = max(2, rows // 14)
    frame = np.array([30, 30, 32], np.float32) if paint is None else paint
    rgb[:edge] = frame
    rgb[:, :edge] = rgb[:, -edge:] = frame
    heat[:edge] = 3.0
    if paint is not None:
        post = slice(round(0.47 * columns), round(0.51 * columns))
        rgb[:, post], heat[:, post] = frame * 0.5, 2.0
    return Texture.build(rgb.astype(np.float32), heat.astype(np.float32))


def _ellipse(
    layer: FloatImage, centre: tuple[float, float], axes: tuple[float, float]
) -> FloatImage:
    """Return the smooth coverage of an ellipse given in metres on a panel."""
    mask = np.zeros(layer.shape[:2], np.uint8)
    place = (round(centre[0] * _PER_M * 16), round(centre[1] * _PER_M * 16))
    size = (round(axes[0] * _PER_M * 16), round(axes[1] * _PER_M * 16))
    cv2.ellipse(mask, place, size, 0, 0, 360, 255, -1, cv2.LINE_AA, 4)
    return np.asarray(mask / np.float32(255), np.float32)


def front_picture(paint: FloatImage, running: bool, heat: float) -> Texture:
    """Return the nose: lamps, grille, bumper, plate."""
    rgb, warmth = _blank(1.78, 0.6, paint, heat)
    rows, columns = warmth.shape
    grille = (
        slice(int(0.22 * rows), int(0.52 * rows)),
        slice(int(0.3 * columns), int(0.7 * columns)),
    )
    rgb[grille] = 26
    rgb[grille][::4] = 70
    warmth[grille] = 24.0 if running else 3.5
    rgb[int(0.68 * rows) :] *= 0.55
    rgb[int(0.6 * rows) : int(0.8 * rows), int(0.4 * columns) : int(0.6 * columns)] = 208
    glow = np.zeros(warmth.shape, np.float32)
    for x in (0.26, 1.52):
        lamp = _ellipse(warmth, (x, 0.16), (0.19, 0.085))
        rgb += lamp[..., None] * (np.array([238, 236, 224], np.float32) - rgb)
        glow = np.maximum(glow, lamp)
        warmth += lamp * (8.0 if running else -1.0)
    return Texture.build(rgb, warmth, emission=glow if running else None)


def rear_picture(paint: FloatImage, running: bool, heat: float) -> Texture:
    """Return the tail: lamps, plate, bumper, exhaust."""
    rgb, warmth = _blank(1.78, 0.7, paint, heat)
    rows, columns = warmth.shape
    rgb[int(0.66 * rows) :] *= 0.6
    rgb[int(0.36 * rows) : int(0.52 * rows), int(0.36 * columns) : int(0.64 * columns)] = 206
    glow = np.zeros(warmth.shape, np.float32)
    for x in (0.2, 1.58):
        lamp = _ellipse(warmth, (x, 0.2), (0.16, 0.1))
        rgb += lamp[..., None] * (np.array([176, 20, 16], np.float32) - rgb)
        glow = np.maximum(glow, 0.8 * lamp)
    pipe = _ellipse(warmth, (0.42, 0.64), (0.06, 0.04))
    rgb *= 1 - 0.8 * pipe[..., None]
    warmth += pipe * (45.0 if running else 0.0)
    if running:
        warmth += 6.0 * _ellipse(warmth, (0.5, 0.66), (0.3, 0.07))
    return Texture.build(rgb, warmth, emission=glow if running else None)


def flank_picture(
    rng: np.random.Generator, shape: CarShape, paint: FloatImage, running: bool, heat: float
) -> Texture:
    """Return the side below the windows: doors, sill, wheels; nose to the left."""
    rgb, warmth = _blank(shape.length, shape.belt, paint, heat)
    rows, columns = warmth.shape
    warmth += 0.3 * fractal_noise(rng, rows, columns, 60, 3)
    nose = shape.length / 2
    drop = (shape.belt - shape.hood) * _PER_M
    reach = (nose - shape.screen_foot) * _PER_M
    x = np.arange(columns, dtype=np.float32)[None, :]
    y = np.arange(rows, dtype=np.float32)[:, None]
    sill = (0.22 * _PER_M) * np.ones_like(x)
    coverage = np.clip(y - drop * (1 - x / reach) + 0.5, 0, 1) * np.clip(
        rows - sill - y + 0.5, 0, 1
    )
    rgb[int(0.30 * rows) : int(0.30 * rows) + 2] *= 1.18
    rgb[int(0.62 * rows) :] *= 0.78
    for place in (nose - 0.9, nose + 0.15, nose + 1.1):
        rgb[:, round(place * _PER_M)] *= 0.5
    for place in (nose - 0.05, nose + 0.95):
        handle = slice(round(place * _PER_M), round((place + 0.17) * _PER_M))
        rgb[int(0.24 * rows) : int(0.24 * rows) + 3, handle] = 44
    if running:
        warmth[:, : round(1.0 * _PER_M)] += 5.0
    for centre in (0.86, shape.length - 0.9):
        arch = _ellipse(warmth, (centre, shape.belt - 0.34), (0.41, 0.40))
        tyre = _ellipse(warmth, (centre, shape.belt - 0.325), (0.325, 0.325))
        rim = _ellipse(warmth, (centre, shape.belt - 0.325), (0.20, 0.20))
        rgb *= 1 - 0.85 * arch[..., None]
        rgb += tyre[..., None] * (np.array([30, 30, 31], np.float32) - rgb)
        rgb += rim[..., None] * (np.array([150, 152, 156], np.float32) - rgb)
        hub = _ellipse(warmth, (centre, shape.belt - 0.325), (0.06, 0.06))
        rgb -= hub[..., None] * 70
        coverage = np.maximum(coverage * (1 - arch * (y > rows - sill)), tyre)
        warmth += tyre * ((11.0 if running else 2.0) - warmth)
        warmth += rim * ((18.0 if running else 2.5) - warmth)
    return Texture.build(rgb, warmth.astype(np.float32), coverage.astype(np.float32))
