"""Frames of the world: painting, light, weather, sensor, and ground truth."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.types import Box, FloatImage, SceneTruth, UInt8Image
from fusion_lab.synthetic.camera import Camera, StereoRig
from fusion_lab.synthetic.canvas import Canvas
from fusion_lab.synthetic.light import add_glare, daylight, night_light, sun_pixel
from fusion_lab.synthetic.sensors import ThermalSensor, VisibleSensor
from fusion_lab.synthetic.timeline import Conditions
from fusion_lab.synthetic.tunnel import cool_tunnel, dark_tunnel
from fusion_lab.synthetic.weather import Weather, thermal_air
from fusion_lab.synthetic.world import Actor, World

CLASS_OF = {"person": 1, "car": 2}
_LEAST_PIXELS, _LEAST_SHARE, _LEAST_HEIGHT = 40, 0.35, 10
_SUN_CELSIUS = 70.0


class Renderer:
    """Renders frames of one seed for one rig."""

    def __init__(self, seed: int, rig: StereoRig) -> None:
        self._world, self._weather = _built(seed)
        self._rig = rig
        self._visible_sensor = VisibleSensor(rig.visible, seed)
        self._thermal_sensor = ThermalSensor(rig.thermal, seed)

    def visible(
        self,
        camera: Camera,
        seconds: float,
        conditions: Conditions,
        index: int,
        stops: float = 0.0,
    ) -> tuple[UInt8Image, SceneTruth]:
        """Return one ``HxWx3`` uint8 RGB frame of this exposure and its ground truth."""
        canvas, actors = self._world.paint(camera, "visible", seconds, conditions)
        picture = self._lit(canvas, seconds, conditions)
        if conditions.glare > 0.01:
            picture = add_glare(picture, canvas, conditions.glare)
        if conditions.tunnel > 0.01:
            picture = dark_tunnel(picture, canvas)
        picture = self._weather.veil(picture, canvas, seconds, conditions)
        image = self._visible_sensor.expose(picture, index, conditions.night, stops)
        shown, mask = _annotate(canvas, actors)
        boxes = tuple((actor.label, box) for actor, box in shown)
        identities = tuple(actor.identity for actor, _ in shown)
        homography = self._rig.homography()
        return image, SceneTruth(boxes, mask, conditions.labels(), homography, identities)

    def thermal(
        self, camera: Camera, seconds: float, conditions: Conditions, index: int
    ) -> NDArray[np.uint16]:
        """Return one ``HxW`` uint16 frame in hundredths of a kelvin."""
        canvas, _ = self._world.paint(camera, "thermal", seconds, conditions)
        celsius = thermal_air(canvas, conditions)
        if conditions.glare > 0.01:
            centre = sun_pixel(canvas)
            celsius = _with_sun(celsius, centre, conditions.glare, camera.focal / 75)
        if conditions.tunnel > 0.01:
            celsius = cool_tunnel(celsius, canvas)
        return self._thermal_sensor.expose(celsius, index)

    def _lit(self, canvas: Canvas, seconds: float, conditions: Conditions) -> FloatImage:
        """Return the lit scene as float32 RGB, between day and night."""
        night = conditions.night
        overcast = 1 - 0.22 * max(conditions.rain, conditions.smoke, conditions.snow)
        if night < 0.01:
            return daylight(canvas, overcast)
        lamps = self._world.lamps()
        dark = night_light(canvas, lamps, self._world.headlights(seconds))
        if night > 0.99:
            return dark
        light = daylight(canvas, overcast * (1 - night))
        return np.asarray(light + np.float32(night) * dark, np.float32)


@lru_cache(maxsize=1)
def _built(seed: int) -> tuple[World, Weather]:
    """Return the textures of one seed; cached, because drawing them takes seconds."""
    return World(seed), Weather(seed)


def _with_sun(
    celsius: FloatImage, centre: tuple[float, float], strength: float, radius: float
) -> FloatImage:
    """Return temperatures with the hot disc of the sun added."""
    disc = np.zeros_like(celsius)
    place = (round(centre[0] * 16), round(centre[1] * 16))
    cv2.circle(disc, place, max(1, round(radius * 16)), _SUN_CELSIUS * strength, -1, cv2.LINE_8, 4)
    return np.asarray(np.maximum(celsius, disc), np.float32)


def _annotate(
    canvas: Canvas, actors: tuple[Actor, ...]
) -> tuple[list[tuple[Actor, Box]], UInt8Image]:
    """Return boxes and label map of the actors that are large and visible enough.

    Actors that are too small or mostly hidden are background in both, so that every labelled
    pixel is inside a box.
    """
    classes = np.zeros(256, np.uint8)
    boxes: list[tuple[Actor, Box]] = []
    for actor in actors:
        seen = cv2.inRange(canvas.owner, actor.owner, actor.owner)
        pixels = cv2.countNonZero(seen)
        x, y, width, height = cv2.boundingRect(seen)
        if pixels < max(_LEAST_PIXELS, _LEAST_SHARE * actor.drawn) or height < _LEAST_HEIGHT:
            continue
        classes[actor.owner] = CLASS_OF[actor.label]
        boxes.append((actor, (float(x), float(y), float(width), float(height))))
    return boxes, np.asarray(classes[canvas.owner], np.uint8)
