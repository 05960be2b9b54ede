"""Positions of people and cars over time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusion_lab.synthetic.bodywork import SEDAN, VAN
from fusion_lab.synthetic.canvas import Canvas, Texture
from fusion_lab.synthetic.ground import CROSSING_M
from fusion_lab.synthetic.people import (
    HEIGHT_M,
    PHASES,
    WIDTH_M,
    random_outfit,
    walk_cycle,
)
from fusion_lab.synthetic.vehicles import Car, build_car

PERIOD_S = 16.0
_WAIT_S = (6.9, 9.1)
_CAR_SPEED = 9.0


@dataclass(frozen=True, slots=True)
class WalkerState:
    """A person at one moment: position in metres, picture of the gait, direction of walking."""

    x: float
    z: float
    phase: int
    outward: bool


@dataclass(frozen=True, slots=True)
class Walker:
    """A person that walks back and forth between two points.

    Attributes:
        start: (x, z) of one end in metres.
        stop: (x, z) of the other end.
        speed: Walking speed in m/s.
        delay: Shift of the schedule in seconds.
        waits: Crosses the road by the schedule of the traffic instead of at its own pace.
        outward: Gait from start to stop.
        homeward: Gait on the way back.
        size: Height relative to 1.75 m.
    """

    start: tuple[float, float]
    stop: tuple[float, float]
    speed: float
    delay: float
    waits: bool
    outward: tuple[Texture, ...]
    homeward: tuple[Texture, ...]
    size: float

    def at(self, seconds: float) -> WalkerState:
        """Return position and gait at a time."""
        length = math.dist(self.start, self.stop)
        if self.waits:
            share, outward, walking = _crossing(seconds + self.delay)
        else:
            lap = ((seconds + self.delay) * self.speed / length) % 2.0
            share, outward, walking = (lap, True, True) if lap < 1 else (2 - lap, False, True)
        walked = length * (share if outward else 1 - share)
        phase = 1 + int(walked / 1.42 * (PHASES - 1)) % (PHASES - 1) if walking else 0
        x = self.start[0] + share * (self.stop[0] - self.start[0])
        z = self.start[1] + share * (self.stop[1] - self.start[1])
        return WalkerState(x, z, phase, outward)

    def corners(self, step: WalkerState) -> NDArray[np.float64]:
        """Return the upright rectangle of the picture at a step."""
        half, top = self.size * WIDTH_M / 2, self.size * HEIGHT_M
        left, right = step.x - half, step.x + half
        ends = ((left, -top), (right, -top), (right, 0.01), (left, 0.01))
        return np.array([(x, y, step.z) for x, y in ends])

    def picture(self, step: WalkerState) -> Texture:
        """Return the picture of a step."""
        return (self.outward if step.outward else self.homeward)[step.phase]

    def paint(self, canvas: Canvas, step: WalkerState, gain: float, owner: int) -> int:
        """Paint the person and return the number of pixels."""
        return canvas.quad(self.picture(step), self.corners(step), gain, owner)


@dataclass(frozen=True, slots=True)
class Vehicle:
    """A car that stands, or drives by once every period.

    Attributes:
        car: Its dimensions and pictures.
        x: Position across the street in metres.
        z: Position along the street, of a driving car where it crosses the zebra.
        towards: It faces the viewer.
    """

    car: Car
    x: float
    z: float
    towards: bool

    def at(self, seconds: float) -> tuple[float, float]:
        """Return (x, z) of its middle at a time in metres."""
        if not self.car.running:
            return self.x, self.z
        return self.x, self.z - _CAR_SPEED * (seconds % PERIOD_S - PERIOD_S / 2)


def _crossing(seconds: float) -> tuple[float, bool, bool]:
    """Return (share of the way, outward, walking) of a person that crosses between two cars."""
    clock = seconds % PERIOD_S
    if clock < _WAIT_S[0]:
        return clock / _WAIT_S[0], True, True
    if clock < _WAIT_S[1]:
        return 1.0, False, False
    return 1 - (clock - _WAIT_S[1]) / (PERIOD_S - _WAIT_S[1]), False, True


def build_walkers(rng: np.random.Generator) -> tuple[Walker, ...]:
    """Return the people of the street: two cross, the others walk along the pavements."""
    middle = sum(CROSSING_M) / 2
    routes = (
        ((-5.6, middle - 0.6), (5.5, middle - 0.4), 1.5, 0.0, True),
        ((-5.9, middle + 0.7), (5.8, middle + 0.9), 1.5, -0.55, True),
        ((3.4, 12.5), (3.1, 24.0), 1.15, 0.0, False),
        ((-5.6, 14.0), (-5.9, 44.0), 1.30, 9.0, False),
        ((-6.6, 38.0), (-6.3, 15.0), 1.45, 3.0, False),
        ((5.5, 16.0), (5.8, 46.0), 1.25, 4.0, False),
        ((6.2, 30.0), (6.1, 13.0), 1.35, 1.0, False),
        ((0.4, 32.0), (6.0, 22.5), 1.2, 2.0, False),
    )
    return tuple(
        _walker(rng, start, stop, speed=speed, delay=delay, waits=waits)
        for start, stop, speed, delay, waits in routes
    )


def _walker(
    rng: np.random.Generator,
    start: tuple[float, float],
    stop: tuple[float, float],
    *,
    speed: float,
    delay: float,
    waits: bool,
) -> Walker:
    """Draw one person, with the gaits of both directions."""
    heading = math.atan2(stop[0] - start[0], stop[1] - start[1])
    heading += 0.0 if waits else float(rng.uniform(0.15, 0.4))
    outfit = random_outfit(rng)
    there = walk_cycle(rng, outfit, heading)
    back = walk_cycle(rng, outfit, heading + math.pi)
    pace = speed * float(rng.uniform(0.93, 1.07))
    later = 0.0 if waits else float(rng.uniform(0, 4))
    size = float(rng.uniform(0.93, 1.05))
    return Walker(start, stop, pace, delay + later, waits, there, back, size)


def build_vehicles(rng: np.random.Generator) -> tuple[Vehicle, ...]:
    """Return four parked cars and one that drives by."""
    paints = np.array(
        [(150, 26, 24), (196, 198, 200), (40, 58, 98), (64, 66, 70), (214, 208, 192), (34, 74, 60)]
    )
    order = rng.permutation(len(paints))
    colours = [tuple(int(value) for value in paints[index]) for index in order]
    middle = sum(CROSSING_M) / 2
    places = (
        (SEDAN, -3.45, 21.0, True, False),
        (VAN, -3.4, 30.5, True, False),
        (SEDAN, 3.5, 30.5, False, False),
        (SEDAN, 3.5, 38.5, False, False),
        (SEDAN, -1.25, middle, True, True),
    )
    return tuple(
        Vehicle(build_car(rng, shape, (c[0], c[1], c[2]), running), x, z, towards)
        for (shape, x, z, towards, running), c in zip(places, colours, strict=False)
    )
