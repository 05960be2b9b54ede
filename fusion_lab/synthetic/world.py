"""The street and its objects, painted for one camera at one time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.types import Modality
from fusion_lab.synthetic.actors import Vehicle, Walker, build_vehicles, build_walkers
from fusion_lab.synthetic.camera import Camera
from fusion_lab.synthetic.canvas import Canvas, Texture
from fusion_lab.synthetic.facade import HEIGHT_M, build_facade
from fusion_lab.synthetic.ground import build_ground
from fusion_lab.synthetic.props import (
    LAMP_HEAD_M,
    LAMP_M,
    TREE_M,
    build_blob,
    build_block,
    build_lamp,
    build_tree,
)
from fusion_lab.synthetic.sky import build_sky, paint_sky
from fusion_lab.synthetic.surface import Plane
from fusion_lab.synthetic.timeline import Conditions
from fusion_lab.synthetic.vehicles import footprint

_DAY_SLOPE, _GLARE_SLOPE = (0.38, 0.62), (0.25, -2.1)
_LAMP_PLACES = ((-4.95, 13.0), (4.95, 24.0), (-4.95, 34.0), (4.95, 46.0), (-4.95, 58.0))
_TREE_PLACES = ((9.3, 17.0), (8.8, 26.0), (9.6, 34.5), (9.0, 45.0), (9.4, 60.0), (-6.9, 49.0))
_WALL_LEFT_M, _WALL_RIGHT_M, _WALL_END_M = -8.0, 12.0, 83.0


@dataclass(frozen=True, slots=True)
class Actor:
    """An annotated object on the canvas.

    Attributes:
        label: ``person`` or ``car``.
        owner: Its number on the canvas.
        drawn: Pixels it was painted on before nearer objects covered it.
        identity: Its number in the world, the same at all times.
    """

    label: str
    owner: int
    drawn: int
    identity: int


@dataclass(frozen=True, slots=True)
class _Prop:
    """An upright picture at (x, z), its size in metres."""

    texture: Texture
    x: float
    z: float
    size: tuple[float, float]


class World:
    """All static textures and all actors of one seed."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self._ground = build_ground(rng)
        self._walls = _build_walls(rng)
        self._sky = build_sky(rng)
        self._props = _build_props(rng)
        self._blob, self._block = build_blob(), build_block()
        self._walkers = build_walkers(rng)
        self._vehicles = build_vehicles(rng)

    def lamps(self) -> NDArray[np.float64]:
        """Return ``Nx3`` world positions of the lamp heads."""
        reach = LAMP_HEAD_M[0] - 0.2
        heads = [(x + (reach if x < 0 else -reach), -LAMP_HEAD_M[1], z) for x, z in _LAMP_PLACES]
        return np.array(heads)

    def headlights(self, seconds: float) -> NDArray[np.float64]:
        """Return ``Nx3`` world positions of lit headlights, which shine towards the viewer."""
        places = [(car, *car.at(seconds)) for car in self._vehicles if car.car.running]
        return np.array(
            [
                (x + side, -0.62, z - car.car.shape.length / 2)
                for car, x, z in places
                for side in (-0.62, 0.62)
            ]
        )

    def paint(
        self, camera: Camera, modality: Modality, seconds: float, conditions: Conditions
    ) -> tuple[Canvas, tuple[Actor, ...]]:
        """Paint the world far to near and return the canvas with its annotated actors."""
        air, warm = conditions.air, conditions.warming
        canvas = Canvas(camera, modality, air)
        paint_sky(canvas, self._sky, conditions.clear_sky)
        self._ground.paint(canvas, warm)
        self._paint_rain_and_snow(canvas, conditions)
        self._paint_shadows(canvas, seconds, conditions)
        for wall in self._walls:
            wall.paint(canvas, warm)
        return canvas, self._paint_objects(canvas, seconds, warm, (34.0 - air) / 17.0)

    @staticmethod
    def _paint_rain_and_snow(canvas: Canvas, conditions: Conditions) -> None:
        """Darken the ground in rain and whiten it in snow."""
        if canvas.modality == "thermal" or max(conditions.rain, conditions.snow) < 0.01:
            return
        ground = (canvas.inverse_depth > 0).astype(np.uint8)
        keep = 1 - 0.38 * conditions.rain - 0.62 * conditions.snow
        changed = cv2.addWeighted(
            canvas.colour, keep, canvas.colour, 0.0, 160 * conditions.snow + 6 * conditions.rain
        )
        cv2.copyTo(changed, ground, canvas.colour)

    def _paint_shadows(self, canvas: Canvas, seconds: float, conditions: Conditions) -> None:
        """Darken the ground where the sun does not reach, and under every object."""
        slope = _GLARE_SLOPE if conditions.glare > 0.5 else _DAY_SLOPE
        sun = 0.55 * conditions.sun * abs(2 * conditions.glare - 1)
        near = float(canvas.camera.pose.centre[2]) + 2.0
        reach = _WALL_LEFT_M + 0.26 * HEIGHT_M
        back, end = _WALL_LEFT_M - 2, _WALL_END_M
        ends = ((back, end), (reach, end), (reach, near), (back, near))
        shaded = np.array([(x, 0.0, z) for x, z in ends])
        canvas.darken(self._block, shaded, 0.8 * sun)
        for prop in self._props:
            canvas.darken(prop.texture, _cast_shadow(prop.x, prop.z, prop.size, slope), sun)
        for vehicle in self._vehicles:
            x, z = vehicle.at(seconds)
            shape = vehicle.car.shape
            canvas.darken(self._block, footprint(shape, x, z, slope), sun)
            canvas.darken(self._block, footprint(shape, x, z, (0.0, 0.0)), 0.62)
        for walker in self._walkers:
            step = walker.at(seconds)
            size = (1.5 * walker.size, 1.95 * walker.size)
            canvas.darken(walker.picture(step), _cast_shadow(step.x, step.z, size, slope), sun)
            canvas.darken(self._blob, _contact_shadow(step.x, step.z), 0.5)

    def _paint_objects(
        self, canvas: Canvas, seconds: float, warm: float, body: float
    ) -> tuple[Actor, ...]:
        """Paint trees, lamps, cars and people by falling distance."""
        jobs: list[tuple[float, str, Callable[[int], int]]] = []
        jobs += [
            (walker.at(seconds).z, "person", _person(canvas, walker, seconds, body))
            for walker in self._walkers
        ]
        jobs += [
            (car.at(seconds)[1], "car", _car(canvas, car, seconds, warm)) for car in self._vehicles
        ]
        jobs += [(prop.z, "", _upright(canvas, prop, warm)) for prop in self._props]
        order = sorted(range(len(jobs)), key=lambda number: -jobs[number][0])
        actors = []
        for owner, identity in enumerate(order, start=1):
            _, label, paint = jobs[identity]
            drawn = paint(owner if label else 0)
            if label and drawn:
                actors.append(Actor(label, owner, drawn, identity))
        return tuple(actors)


def _build_props(rng: np.random.Generator) -> tuple[_Prop, ...]:
    """Return trees and street lamps."""
    trees = [build_tree(rng) for _ in range(3)]
    props = [_Prop(trees[n % 3], x, z, TREE_M) for n, (x, z) in enumerate(_TREE_PLACES)]
    lamp = build_lamp()
    mirrored = lamp.mirrored()
    middle = LAMP_M[0] / 2 - 0.2
    props += [_Prop(lamp, x + middle, z, LAMP_M) for x, z in _LAMP_PLACES if x < 0]
    props += [_Prop(mirrored, x - middle, z, LAMP_M) for x, z in _LAMP_PLACES if x > 0]
    return tuple(props)


def _upright(canvas: Canvas, prop: _Prop, gain: float) -> Callable[[int], int]:
    """Return the painting of an upright picture that faces the viewer."""
    left, right, top = prop.x - prop.size[0] / 2, prop.x + prop.size[0] / 2, -prop.size[1]
    ends = ((left, top), (right, top), (right, 0.0), (left, 0.0))
    corners = np.array([(x, y, prop.z) for x, y in ends])
    return lambda owner: canvas.quad(prop.texture, corners, gain, owner)


def _person(canvas: Canvas, walker: Walker, seconds: float, gain: float) -> Callable[[int], int]:
    """Return the painting of one person."""
    return lambda owner: walker.paint(canvas, walker.at(seconds), gain, owner)


def _car(canvas: Canvas, vehicle: Vehicle, seconds: float, warm: float) -> Callable[[int], int]:
    """Return the painting of one car; the engine, not the sun, warms a running one."""
    gain = 1.0 if vehicle.car.running else warm
    x, z = vehicle.at(seconds)
    return lambda owner: vehicle.car.paint(
        canvas, x, z, towards=vehicle.towards, gain=gain, owner=owner
    )


def _cast_shadow(
    x: float, z: float, size: tuple[float, float], slope: tuple[float, float]
) -> NDArray[np.float64]:
    """Return where the shadow of an upright picture falls on the ground."""
    half, dx, dz = size[0] / 2, size[1] * slope[0], size[1] * slope[1]
    ends = ((x - half + dx, z + dz), (x + half + dx, z + dz), (x + half, z), (x - half, z))
    return np.array([(px, 0.0, pz) for px, pz in ends])


def _contact_shadow(x: float, z: float) -> NDArray[np.float64]:
    """Return the ground rectangle of a person's contact shadow."""
    ends = ((x - 0.4, z + 0.35), (x + 0.4, z + 0.35), (x + 0.4, z - 0.35), (x - 0.4, z - 0.35))
    return np.array([(px, 0.0, pz) for px, pz in ends])


def _build_walls(rng: np.random.Generator) -> tuple[Plane, ...]:
    """Return the house fronts: the street's end, its shaded left and its sunny right."""
    fine, coarse = 36.0, 18.0
    end = build_facade(rng, 36.0, coarse, 3.5)
    left = build_facade(rng, _WALL_END_M, fine, 1.6)
    right = build_facade(rng, _WALL_END_M, fine, 5.5)
    down, infinite = (0.0, 1.0, 0.0), float("inf")
    return (
        Plane.build(
            end,
            (-16.0, -HEIGHT_M, _WALL_END_M),
            (1.0, 0.0, 0.0),
            down,
            density=(coarse, coarse),
            slant=(infinite, infinite),
        ),
        Plane.build(
            _shaded(left),
            (_WALL_LEFT_M, -HEIGHT_M, 0.0),
            (0.0, 0.0, 1.0),
            down,
            density=(fine, fine),
            slant=(9.7, infinite),
        ),
        Plane.build(
            right,
            (_WALL_RIGHT_M, -HEIGHT_M, _WALL_END_M),
            (0.0, 0.0, -1.0),
            down,
            density=(fine, fine),
            slant=(10.3, infinite),
        ),
    )


def _shaded(texture: Texture) -> Texture:
    """Return a wall in the shade: darker and bluer."""
    colour = texture.colour[0].astype(np.float32)
    colour[..., :3] *= np.array([0.68, 0.72, 0.78], np.float32)
    return Texture((colour.astype(np.uint8),), texture.heat)
