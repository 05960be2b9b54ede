"""The end of a road tunnel: darkness around, full daylight in the exit."""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np

from fusion_core.types import FloatImage, Mask
from fusion_lab.synthetic.canvas import Canvas

_EXIT_M: Final = 26.0
_HALF_WIDTH_M: Final = 5.2
_HEIGHT_M: Final = 4.8
_JOINT_M: Final = 3.0
# Display values: daylight that the usual exposure clips, and what reaches the walls.
_OUTSIDE: Final = 2.2
_INSIDE: Final = 0.16
_CONCRETE: Final = np.array([23.0, 22.0, 20.0], np.float32)
_WALL_CELSIUS: Final = 13.0


def dark_tunnel(picture: FloatImage, canvas: Canvas) -> FloatImage:
    """Return a street by day, ``HxWx3`` RGB, as seen from inside the tunnel.

    What stands behind its walls is taken off the canvas.
    """
    outside, walls = _parts(canvas)
    canvas.owner[walls] = 0
    seen = picture * np.where(outside, _OUTSIDE, _INSIDE).astype(np.float32)[..., None]
    shade = _wall_pattern(canvas)
    return np.where(walls[..., None], _CONCRETE * shade[..., None], seen)


def cool_tunnel(celsius: FloatImage, canvas: Canvas) -> FloatImage:
    """Return temperatures with the tunnel's walls before what lies behind them."""
    _, walls = _parts(canvas)
    wall = _WALL_CELSIUS + 0.8 * (_wall_pattern(canvas) - 1)
    return np.asarray(np.where(walls, wall, celsius), np.float32)


def _parts(canvas: Canvas) -> tuple[Mask, Mask]:
    """Return what is seen through the exit, and what of the tunnel's walls."""
    opening = np.zeros(canvas.inverse_depth.shape, np.uint8)
    outline = np.rint(_arch(canvas, _EXIT_M) * 16).astype(np.int32)
    cv2.fillPoly(opening, [outline], 1, cv2.LINE_8, 4)
    beyond = canvas.inverse_depth < 1 / _EXIT_M
    return np.asarray((opening > 0) & beyond), np.asarray((opening == 0) & _behind_walls(canvas))


def _behind_walls(canvas: Canvas) -> Mask:
    """Return where what the street shows lies outside of the tunnel's walls.

    A ray that leaves the arch at some depth meets a wall there; what is nearer stands inside.
    """
    hidden = np.asarray(canvas.inverse_depth < 1 / _EXIT_M)
    for depth in np.geomspace(2.5, _EXIT_M, 60):
        inside = np.zeros(hidden.shape, np.uint8)
        outline = np.rint(_arch(canvas, float(depth)) * 16).astype(np.int32)
        cv2.fillPoly(inside, [outline], 1, cv2.LINE_8, 4)
        hidden |= (inside == 0) & (canvas.inverse_depth < 1 / depth)
    return hidden


def _arch(canvas: Canvas, ahead_m: float) -> FloatImage:
    """Return the outline of the tunnel's cross-section at a distance, ``Nx2`` pixels."""
    angles = np.linspace(0, math.pi, 25)
    side = _HEIGHT_M - _HALF_WIDTH_M * 0.55
    rounded = [
        (_HALF_WIDTH_M * math.cos(a), -side - (_HEIGHT_M - side) * math.sin(a)) for a in angles
    ]
    outline = [(_HALF_WIDTH_M, 0.3), *rounded, (-_HALF_WIDTH_M, 0.3)]
    place = float(canvas.camera.pose.centre[2]) + ahead_m
    points = np.array([(x, y, place) for x, y in outline])
    return np.asarray(canvas.camera.project(points)[:, :2], np.float32)


def _wall_pattern(canvas: Canvas) -> FloatImage:
    """Return shades around 1: joints that run towards the exit, and light that grows there."""
    height, width = canvas.inverse_depth.shape
    shade = np.full((height, width), 0.55, np.float32)
    start = float(canvas.camera.pose.centre[2])
    first = math.floor((start + 1.5) / _JOINT_M) * _JOINT_M
    for place in np.arange(first + _JOINT_M, start + _EXIT_M, _JOINT_M):
        outline = np.rint(_arch(canvas, float(place) - start) * 16).astype(np.int32)
        cv2.fillPoly(shade, [outline], 0.55 + 1.1 * (place - start) / _EXIT_M, cv2.LINE_8, 4)
        cv2.polylines(shade, [outline], isClosed=True, color=0.4, thickness=2, shift=4)
    return shade
