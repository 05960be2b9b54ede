"""Cars: a lower body and a cabin of flat panels, each with its own picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusion_lab.synthetic.bodywork import (
    CarShape,
    flank_picture,
    front_picture,
    glass_picture,
    rear_picture,
    sheet_picture,
)
from fusion_lab.synthetic.canvas import Canvas, Texture

_Point = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Panel:
    """One flat part: four corners (forward, left, up) as seen from outside, and its picture."""

    corners: tuple[_Point, _Point, _Point, _Point]
    texture: Texture


@dataclass(frozen=True, slots=True)
class Car:
    """A car ready to be painted.

    Attributes:
        shape: Its dimensions.
        panels: Its outside.
        running: Engine warm and lamps on.
    """

    shape: CarShape
    panels: tuple[Panel, ...]
    running: bool

    def paint(
        self, canvas: Canvas, x: float, z: float, *, towards: bool, gain: float, owner: int
    ) -> int:
        """Paint the car with its middle at (x, z), facing the viewer or away; return pixels."""
        sign = -1.0 if towards else 1.0
        eye = canvas.camera.pose.centre
        visible = []
        for panel in self.panels:
            points = np.array([(x - sign * p[1], -p[2], z + sign * p[0]) for p in panel.corners])
            middle = points.mean(axis=0) - eye
            sides = np.array((points[1] - points[0], points[3] - points[0], middle))
            if float(np.linalg.det(sides)) > 0:
                visible.append((float(middle @ middle), points, panel.texture))
        visible.sort(key=lambda entry: -entry[0])
        return sum(canvas.quad(texture, points, gain, owner) for _, points, texture in visible)


def build_car(
    rng: np.random.Generator, shape: CarShape, colour: tuple[int, int, int], running: bool
) -> Car:
    """Return a car of one colour; a running one has warm parts and lamps that glow."""
    half, side, top = shape.length / 2, shape.width / 2, 0.80 * shape.width / 2
    low, belt, roof = 0.22, shape.belt, shape.roof
    paint = np.array(colour, np.float32)
    body = 3.0 if running else 4.5
    front = front_picture(paint, running, body)
    rear = rear_picture(paint, running, body)
    flank = flank_picture(rng, shape, paint, running, body)
    screen = glass_picture(rng, 1.4, 0.9)
    windows = glass_picture(rng, 2.6, 0.55, paint=paint)
    hood = sheet_picture(rng, paint * 1.10, 17.0 if running else body + 1.5, 1.0, 1.6)
    lid = sheet_picture(rng, paint * 1.10, body + 1.5, 0.5, 1.6)
    ceiling = sheet_picture(rng, paint * 1.16, body + 2.5, 1.3, 1.4)
    nose, tail, foot, back = half, -half, shape.screen_foot, shape.rear_foot
    shelf = belt - 0.03
    panels = [
        _across((nose, side, shape.hood), (nose, side, low), front, ahead=True),
        _across((tail, side, shelf), (tail, side, low), rear, ahead=False),
        _across((foot, side, belt), (nose, side, shape.hood), hood, ahead=True),
        _across((shape.screen_top, top, roof), (foot, side, belt), screen, ahead=True),
        _across((shape.rear_top, top, roof), (shape.screen_top, top, roof), ceiling, ahead=True),
        _across((shape.rear_top, top, roof), (back, side, belt), screen, ahead=False),
        _across((back, side, belt), (tail, side, shelf), lid, ahead=False),
    ]
    heads, feet = (shape.screen_top, shape.rear_top), (foot, back)
    panels += _along((nose, tail), (nose, tail), (belt, 0.0), (side, side), flank)
    panels += _along(heads, feet, (roof, belt), (top, side), windows)
    return Car(shape, tuple(panels), running)


def _across(upper: _Point, lower: _Point, texture: Texture, *, ahead: bool) -> Panel:
    """Return a panel from side to side, seen from ahead or from behind.

    Args:
        upper: (forward, half width, height) of its upper edge.
        lower: The same of its lower edge.
        texture: Its picture.
        ahead: It is seen from ahead.
    """
    left = -1.0 if ahead else 1.0
    ends = ((upper, left), (upper, -left), (lower, -left), (lower, left))
    corners = [(edge[0], sign * edge[1], edge[2]) for edge, sign in ends]
    return Panel((corners[0], corners[1], corners[2], corners[3]), texture)


def _along(
    upper: tuple[float, float],
    lower: tuple[float, float],
    heights: tuple[float, float],
    sides: tuple[float, float],
    texture: Texture,
) -> list[Panel]:
    """Return the left panel and its mirror image on the right.

    Args:
        upper: Front and rear end of the upper edge.
        lower: Front and rear end of the lower edge.
        heights: Heights of the upper and lower edge.
        sides: Distances of the upper and lower edge from the middle.
        texture: Picture of the left one, nose to the left.
    """
    panels = []
    for sign, first, picture in ((1.0, 0, texture), (-1.0, 1, texture.mirrored())):
        head, foot = (sign * sides[0], heights[0]), (sign * sides[1], heights[1])
        second = 1 - first
        corners = (
            (upper[first], *head),
            (upper[second], *head),
            (lower[second], *foot),
            (lower[first], *foot),
        )
        panels.append(Panel(corners, picture))
    return panels


def footprint(
    shape: CarShape, x: float, z: float, slope: tuple[float, float]
) -> NDArray[np.float64]:
    """Return the ground rectangle of a car's shadow; ``slope`` is its reach per metre height."""
    half, side, reach = shape.length / 2 + 0.15, shape.width / 2 + 0.12, 0.75 * shape.roof
    shift = (reach * slope[0] / 2, reach * slope[1] / 2)
    grow = (abs(shift[0]), abs(shift[1]))
    left, right = x - side + shift[0] - grow[0], x + side + shift[0] + grow[0]
    near, far = z - half + shift[1] - grow[1], z + half + shift[1] + grow[1]
    ends = ((left, far), (right, far), (right, near), (left, near))
    return np.array([(px, 0.0, pz) for px, pz in ends])
