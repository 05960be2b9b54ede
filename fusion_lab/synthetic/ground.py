"""The street: asphalt with paint and wear, kerbs, pavements and a strip of grass."""

from __future__ import annotations

import cv2
import numpy as np

from fusion_core.types import FloatImage
from fusion_lab.synthetic.canvas import Texture
from fusion_lab.synthetic.noise import fractal_noise
from fusion_lab.synthetic.surface import Plane

LEFT_M, RIGHT_M, LENGTH_M = -9.0, 13.0, 84.0
CROSSING_M = (14.5, 17.5)
_PER_M_X, _PER_M_Z = 56.0, 28.0
_ROAD = (-4.5, 4.5)
_GRASS_M = 7.0


def build_ground(rng: np.random.Generator) -> Plane:
    """Return the ground plane, 22 m wide and 84 m long."""
    width, height = round((RIGHT_M - LEFT_M) * _PER_M_X), round(LENGTH_M * _PER_M_Z)
    rgb = np.zeros((height, width, 3), np.float32)
    heat = np.zeros((height, width), np.float32)
    for left, right in ((LEFT_M, _ROAD[0]), (_ROAD[1], _GRASS_M)):
        strip = _columns(left, right)
        rgb[:, strip], heat[:, strip] = _pavement(rng, height, strip.stop - strip.start)
    _grass(rng, rgb, heat)
    _asphalt(rng, rgb, heat)
    _kerb(rng, rgb, heat, _ROAD[1])
    _kerb(rng, rgb, heat, _ROAD[0] - 0.22)
    texture = Texture.build(rgb[::-1], np.ascontiguousarray(heat[::-1]), levels=1)
    return Plane.build(
        texture,
        (LEFT_M, 0.0, LENGTH_M),
        (1.0, 0.0, 0.0),
        (0.0, 0.0, -1.0),
        density=(_PER_M_X, _PER_M_Z),
        slant=(np.inf, 2.3),
    )


def _columns(left: float, right: float) -> slice:
    """Return the texture columns between two positions across the street in metres."""
    return slice(round((left - LEFT_M) * _PER_M_X), round((right - LEFT_M) * _PER_M_X))


def _asphalt(rng: np.random.Generator, rgb: FloatImage, heat: FloatImage) -> None:
    """Draw the carriageway with wheel tracks, repairs, cracks and paint."""
    road = _columns(*_ROAD)
    height, width = rgb.shape[0], road.stop - road.start
    blotch = fractal_noise(rng, height, width, 160, 5)
    grain = rng.standard_normal((height, width), dtype=np.float32)
    grain += 1.2 * cv2.GaussianBlur(
        rng.standard_normal((height, width), dtype=np.float32), (3, 3), 0
    )
    across = np.linspace(_ROAD[0], _ROAD[1], width, dtype=np.float32)
    tracks = sum(np.exp(-(((across - x) / 0.32) ** 2)) for x in (-2.1, -0.6, 1.4, 2.9))
    tone = 84 + 6 * blotch + 6 * grain + 7 * tracks[None, :]
    warmth = 4.0 + 0.35 * blotch + 0.1 * grain + 0.8 * tracks[None, :]
    _repairs(rng, tone, warmth)
    paint = _paint(rng, height, width, across)
    tone += paint * (196 - tone)
    warmth -= 1.3 * paint
    rgb[:, road] = tone[..., None] * np.array([1.0, 0.99, 0.97], np.float32)
    heat[:, road] = warmth


def _repairs(rng: np.random.Generator, tone: FloatImage, warmth: FloatImage) -> None:
    """Add tar patches, manhole covers and cracks, in place."""
    height, width = tone.shape
    for _ in range(5):
        x, y = int(rng.integers(0, width - 90)), int(rng.integers(0, height - 80))
        w, h = int(rng.integers(40, 130)), int(rng.integers(20, 75))
        tone[y : y + h, x : x + w] -= 10
        warmth[y : y + h, x : x + w] += 0.8
    cracks = np.zeros(tone.shape, np.uint8)
    for _ in range(20):
        steps = rng.normal(0, 3.0, (40, 2)) + rng.normal(0, 5, 2)
        line = np.cumsum(steps, axis=0) + rng.uniform(0, 1, 2) * (width, height)
        cv2.polylines(cracks, [line.astype(np.int32)], False, 255, 1, cv2.LINE_AA)
    tone -= cracks * np.float32(24 / 255)
    for _ in range(5):
        centre = (int(rng.integers(60, width - 60)), int(rng.integers(40, height - 40)))
        cover = np.zeros(tone.shape, np.uint8)
        cv2.ellipse(cover, centre, (21, 11), 0, 0, 360, 255, -1, cv2.LINE_AA)
        tone -= cover * np.float32(34 / 255)
        warmth += cover * np.float32(4.5 / 255)
        cv2.ellipse(cover, centre, (18, 9), 0, 0, 360, 0, -1, cv2.LINE_AA)
        tone += cover * np.float32(46 / 255)


def _paint(rng: np.random.Generator, height: int, width: int, across: FloatImage) -> FloatImage:
    """Return the coverage of road paint: centre dashes, edge lines and a zebra crossing."""
    along = np.arange(height, dtype=np.float32)[:, None] / _PER_M_Z
    dashes = (np.abs(across + 0.1) < 0.07)[None, :] & (along % 6.0 < 3.0)
    edges = (np.abs(np.abs(across) - 4.15) < 0.05)[None, :] & (along >= 0)
    on_crossing = (along > CROSSING_M[0]) & (along < CROSSING_M[1])
    clear = (along < CROSSING_M[0] - 1) | (along > CROSSING_M[1] + 1)
    stripes = ((across + 4.5) % 1.0 < 0.5)[None, :] & on_crossing
    lines = ((dashes | edges) & clear | stripes).astype(np.float32)
    wear = 0.62 + 0.16 * fractal_noise(rng, height, width, 24, 4)
    smooth = cv2.GaussianBlur(lines, (3, 3), 0.6)
    return np.asarray(smooth * np.clip(wear, 0.15, 0.9), np.float32)


def _pavement(rng: np.random.Generator, height: int, width: int) -> tuple[FloatImage, FloatImage]:
    """Return colour and heat of concrete slabs of half a metre."""
    pitch_x, pitch_z = _PER_M_X / 2, _PER_M_Z / 2
    rows = (np.arange(height) / pitch_z).astype(int)
    columns = (np.arange(width) / pitch_x).astype(int)
    tones = rng.normal(0, 5.5, (rows[-1] + 1, columns[-1] + 1)).astype(np.float32)
    slab = tones[rows][:, columns]
    joint = (np.arange(height) % pitch_z < 1)[:, None] | (np.arange(width) % pitch_x < 2)[None, :]
    stain = fractal_noise(rng, height, width, 120, 5)
    tone = 134 + slab + 7 * stain - 30 * joint
    tone += 5 * rng.standard_normal((height, width), dtype=np.float32)
    rgb = tone[..., None] * np.array([1.0, 0.975, 0.93], np.float32)
    heat = 3.0 + 0.08 * slab + 0.25 * stain - 0.4 * joint
    return np.asarray(rgb, np.float32), np.asarray(heat, np.float32)


def _grass(rng: np.random.Generator, rgb: FloatImage, heat: FloatImage) -> None:
    """Draw the strip of grass on the right."""
    strip = _columns(_GRASS_M, RIGHT_M)
    height, width = rgb.shape[0], strip.stop - strip.start
    broad = fractal_noise(rng, height, width, 140, 4)
    tufts = fractal_noise(rng, height, width, 14, 4, gain=0.8)
    fleck = rng.standard_normal((height, width), dtype=np.float32)
    blades = cv2.blur(fleck, (1, 5)) * 2.2
    light = 1.0 + 0.10 * broad + 0.17 * tufts + 0.15 * blades
    dry = np.clip(0.35 + 0.4 * broad, 0, 1)[..., None]
    green = np.array([66, 96, 38], np.float32)
    straw = np.array([128, 122, 68], np.float32)
    rgb[:, strip] = light[..., None] * (green + 0.55 * dry * (straw - green))
    heat[:, strip] = -0.6 + 0.5 * broad + 0.35 * tufts + 0.8 * dry[..., 0]


def _kerb(rng: np.random.Generator, rgb: FloatImage, heat: FloatImage, left: float) -> None:
    """Draw a row of kerb stones with a dark gutter."""
    stone = _columns(left, left + 0.22)
    gutter = _columns(left - 0.1, left) if left > 0 else _columns(left + 0.22, left + 0.32)
    height = rgb.shape[0]
    joint = (np.arange(height) % _PER_M_Z < 1)[:, None]
    tone = 158 + 6 * rng.standard_normal((height, 1), dtype=np.float32) - 45 * joint
    rgb[:, stone] = tone[..., None] * np.array([1.0, 0.98, 0.95], np.float32)
    heat[:, stone] = 4.2
    rgb[:, gutter] *= 0.66
    heat[:, gutter] -= 0.5
