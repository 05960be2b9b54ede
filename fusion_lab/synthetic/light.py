"""How the scene is lit: daylight, street lamps and headlights at night, a low sun in the lens."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.types import FloatImage
from fusion_lab.synthetic.camera import intrinsics
from fusion_lab.synthetic.canvas import Canvas
from fusion_lab.synthetic.sensors import DISPLAY_GAMMA

_LAMP_RGB = np.array([1.0, 0.80, 0.52], np.float32)
_HEADLIGHT_RGB = np.array([0.95, 0.97, 1.0], np.float32)
_MOONLIGHT = np.array([0.0032, 0.0040, 0.0068], np.float32)
_SUN_DIRECTION = np.array([-0.10, -0.185, 1.0])
_SUN_RGB = np.array([1.0, 0.93, 0.76], np.float32)
_QUARTER = 4


def daylight(canvas: Canvas, brightness: float) -> FloatImage:
    """Return the picture under an even sky as float32 RGB in [0, 255]."""
    return np.asarray(canvas.colour * np.float32(brightness), np.float32)


def night_light(
    canvas: Canvas, lamps: NDArray[np.float64], headlights: NDArray[np.float64]
) -> FloatImage:
    """Return the picture under lamps and moonlight as float32 RGB in [0, 255].

    Inverse-square light in linear units, raised to a display gamma because textures are
    display-referred; light sources keep their colour and bloom.

    Args:
        canvas: What is seen.
        lamps: ``Nx3`` lamp heads in the world, shining down.
        headlights: ``Nx3`` headlights in the world, shining towards negative z.
    """
    height, width = canvas.owner.shape
    size = (width // _QUARTER, height // _QUARTER)
    inverse = cv2.resize(canvas.inverse_depth, size, interpolation=cv2.INTER_AREA)
    depth = 1.0 / np.maximum(inverse, np.float32(1 / 150))
    y, x = np.mgrid[0 : size[1], 0 : size[0]].astype(np.float32)
    pixels = np.stack((_QUARTER * x + 1.5, _QUARTER * y + 1.5, np.ones_like(x)))
    rays = np.tensordot(canvas.camera.rays().astype(np.float32), pixels, 1)
    places = canvas.camera.pose.centre.astype(np.float32)[:, None, None] + rays * depth
    light = np.zeros((*size[::-1], 3), np.float32) + _MOONLIGHT
    for lamp in lamps.astype(np.float32):
        light += 50.0 * _lamp_falloff(places, lamp)[..., None] * _LAMP_RGB
    for lamp in headlights.astype(np.float32):
        light += 22.0 * _beam_falloff(places, lamp)[..., None] * _HEADLIGHT_RGB
    light *= (1 - 0.75 * (inverse < 1 / 140))[..., None]
    smooth = cv2.resize(light**DISPLAY_GAMMA, (width, height), interpolation=cv2.INTER_LINEAR)
    picture = cv2.multiply(canvas.colour, np.asarray(smooth), dtype=cv2.CV_32F)
    shine = cv2.merge([canvas.glow] * 3)
    lit = cv2.multiply(canvas.colour, shine, scale=1 / 118, dtype=cv2.CV_32F)
    own = np.asarray(lit, np.float32)
    return np.asarray(picture + own + _bloom(own), np.float32)


def _lamp_falloff(places: FloatImage, lamp: FloatImage) -> FloatImage:
    """Return the light of a lamp that shines down in a wide cone."""
    offset = places - lamp[:, None, None]
    squared = (offset**2).sum(axis=0) + 0.5
    down = np.clip(offset[1] / np.sqrt(squared), 0, 1)
    return np.asarray(down**3 / squared, np.float32)


def _beam_falloff(places: FloatImage, lamp: FloatImage) -> FloatImage:
    """Return the light of a dipped headlight that shines towards negative z."""
    offset = places - lamp[:, None, None]
    ahead = np.maximum(-offset[2], 0.05)
    side, rise = offset[0] / ahead, offset[1] / ahead
    cone = np.exp(-((side / 0.30) ** 2) - ((rise - 0.05) / 0.10) ** 2)
    return np.asarray(cone * (offset[2] < 0) / (ahead**2 + 6.0), np.float32)


def _bloom(own: FloatImage) -> FloatImage:
    """Return the light that strong sources spill over their surroundings."""
    height, width = own.shape[:2]
    small = cv2.resize(own, (width // _QUARTER, height // _QUARTER), interpolation=cv2.INTER_AREA)
    near = cv2.GaussianBlur(small, (0, 0), 1.6)
    wide = cv2.GaussianBlur(small, (0, 0), 9.0)
    spill = 0.45 * near + 0.6 * wide
    return np.asarray(cv2.resize(spill, (width, height), interpolation=cv2.INTER_LINEAR))


def sun_pixel(canvas: Canvas) -> tuple[float, float]:
    """Return where the low sun stands in the image, in pixels."""
    ray = intrinsics(canvas.camera.model) @ (canvas.camera.pose.rotation.T @ _SUN_DIRECTION)
    return float(ray[0] / ray[2]), float(ray[1] / ray[2])


def add_glare(picture: FloatImage, canvas: Canvas, strength: float) -> FloatImage:
    """Return the picture against a low sun: backlit, with veiling glare, streaks and ghosts."""
    height, width = picture.shape[:2]
    sun_x, sun_y = sun_pixel(canvas)
    y, x = np.mgrid[0 : height // _QUARTER, 0 : width // _QUARTER].astype(np.float32)
    dx, dy = _QUARTER * x + 1.5 - sun_x, _QUARTER * y + 1.5 - sun_y
    radius = np.hypot(dx, dy)
    veil = 2.6 * np.exp(-((radius / 17) ** 2)) + 0.75 * np.exp(-radius / 48)
    veil += 0.58 * np.exp(-radius / 210) + 0.05
    angle = np.arctan2(dy, dx)
    spokes = np.abs(np.cos(3 * angle + 0.4)) ** 40 + 0.5 * np.abs(np.cos(4 * angle)) ** 60
    veil += 0.30 * spokes * np.exp(-radius / 95)
    for share, size, gain in ((1.45, 26, 0.10), (1.8, 15, 0.13), (2.3, 42, 0.06)):
        ghost_x, ghost_y = share * (width / 2 - sun_x), share * (height / 2 - sun_y)
        ring = np.hypot(dx - ghost_x, dy - ghost_y)
        veil += gain * np.clip((size - ring) / 6, 0, 1)
    sheen = np.exp(-((dx / (30 + 0.35 * np.abs(dy))) ** 2)) * np.clip(dy / 150, 0, 1)
    layers = cv2.resize(np.dstack((veil, sheen)), (width, height), interpolation=cv2.INTER_LINEAR)
    road = (canvas.owner == 0) * np.clip(picture[..., 1] / 90, 0, 2) ** 2
    light = strength * (255 * layers[..., 0] + 120 * layers[..., 1] * road)
    dim = 1 - strength * (0.42 + 0.14 * (canvas.inverse_depth > 0))
    return np.asarray(picture * dim[..., None] + light[..., None] * _SUN_RGB, np.float32)
