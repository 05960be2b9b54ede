"""Walking people: a jointed body of tapered limbs, drawn once per step of the gait."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusion_core.types import FloatImage
from fusion_lab.synthetic.canvas import Texture
from fusion_lab.synthetic.noise import fractal_noise

PHASES = 13
HEIGHT_M, WIDTH_M = 1.95, 1.5
_PER_M = 104
_FEET_M = 0.6  # straight from above, the middle of the body over the picture's lower edge
_BODY_K = 17.0
_SKINS = ((224, 178, 150), (196, 144, 112), (142, 96, 70), (96, 64, 48))
_COATS = (
    (168, 40, 38), (38, 62, 116), (62, 84, 52), (198, 172, 62), (52, 52, 58),
    (150, 148, 144), (112, 64, 104), (196, 104, 44),
)  # fmt: skip
_TROUSERS = ((44, 50, 74), (66, 62, 58), (30, 30, 34), (118, 104, 82))
_HAIRS = ((44, 32, 24), (92, 64, 36), (24, 22, 22), (150, 136, 120))


@dataclass(frozen=True, slots=True)
class Limb:
    """A tapered capsule of the body, in metres (forward, left, up) of the walker.

    Attributes:
        start: One end.
        stop: The other end.
        radii: Radius at both ends in metres.
        colour: Red, green, blue in [0, 255].
        warmth: Share of the body's warmth that reaches the surface, in [0, 1].
    """

    start: tuple[float, float, float]
    stop: tuple[float, float, float]
    radii: tuple[float, float]
    colour: tuple[int, int, int]
    warmth: float


@dataclass(frozen=True, slots=True)
class Outfit:
    """What a person wears and carries."""

    skin: tuple[int, int, int]
    coat: tuple[int, int, int]
    trousers: tuple[int, int, int]
    hair: tuple[int, int, int]
    backpack: bool


def random_outfit(rng: np.random.Generator) -> Outfit:
    """Return a random outfit."""
    picks = [
        choices[int(rng.integers(len(choices)))] for choices in (_SKINS, _COATS, _TROUSERS, _HAIRS)
    ]
    return Outfit(picks[0], picks[1], picks[2], picks[3], bool(rng.uniform() < 0.35))


def walk_cycle(rng: np.random.Generator, outfit: Outfit, heading: float) -> tuple[Texture, ...]:
    """Draw one full step cycle.

    Args:
        rng: Source of randomness, for the cloth.
        outfit: Clothes.
        heading: Direction of walking in radians: 0 away from the viewer, pi towards, pi/2 right.

    Returns:
        ``PHASES`` pictures of 1.5 x 1.95 m, feet at the bottom edge; the first one stands still.
    """
    rows, columns = round(HEIGHT_M * _PER_M), round(WIDTH_M * _PER_M)
    cloth = fractal_noise(rng, rows, columns, 26, 4, gain=0.65)
    angles = [2 * math.pi * step / (PHASES - 1) for step in range(PHASES - 1)]
    bodies = [_body(outfit, 0.0, 0.0)] + [_body(outfit, angle, 1.0) for angle in angles]
    return tuple(_draw(body, heading, cloth) for body in bodies)


def figure(
    rng: np.random.Generator, outfit: Outfit, heading: float, elevation: float, *, stride: float
) -> Texture:
    """Draw a person at a random phase of the gait, as seen from above.

    Args:
        rng: Source of randomness.
        outfit: Clothes.
        heading: See :func:`walk_cycle`.
        elevation: How far the viewer is above, in radians: 0 level, pi/2 straight above.
        stride: 1 walks, 0 stands still.

    Returns:
        A picture of 1.5 x 1.95 m.
    """
    rows, columns = round(HEIGHT_M * _PER_M), round(WIDTH_M * _PER_M)
    cloth = fractal_noise(rng, rows, columns, 26, 4, gain=0.65)
    limbs = _body(outfit, float(rng.uniform(0, 2 * math.pi)), stride)
    return _draw(limbs, heading, cloth, elevation)


def _body(outfit: Outfit, phase: float, stride: float) -> list[Limb]:
    """Return the limbs at one phase of the gait; ``stride`` 0 stands still."""
    bounce = 0.02 * stride * math.cos(2 * phase)
    hip, shoulder = 0.90 + bounce, 1.40 + bounce
    limbs = [limb for side in (-1, 1) for limb in _leg(outfit, side, phase, stride, hip)]
    limbs += [limb for side in (-1, 1) for limb in _arm(outfit, side, phase, stride, shoulder)]
    for left in (-0.085, 0.0, 0.085):
        chest, waist = (0.02, left * 1.15, shoulder - 0.05), (0.0, left, hip + 0.02)
        limbs.append(Limb(chest, waist, (0.115, 0.108), outfit.coat, 0.60))
    limbs.append(Limb((0, -0.14, shoulder), (0, 0.14, shoulder), (0.07, 0.07), outfit.coat, 0.6))
    neck = Limb(
        (0.0, 0, shoulder + 0.02), (0.02, 0, shoulder + 0.13), (0.06, 0.055), outfit.skin, 1.0
    )
    face = Limb(
        (0.03, 0, shoulder + 0.16), (0.02, 0, shoulder + 0.25), (0.075, 0.092), outfit.skin, 0.97
    )
    hair = Limb(
        (-0.035, 0, shoulder + 0.20),
        (-0.015, 0, shoulder + 0.275),
        (0.085, 0.093),
        outfit.hair,
        0.7,
    )
    limbs += [neck, face, hair]
    if outfit.backpack:
        top, low = (-0.19, 0.0, shoulder - 0.06), (-0.19, 0.0, hip + 0.14)
        limbs.append(Limb(top, low, (0.13, 0.15), (58, 56, 50), 0.22))
    return limbs


def _leg(outfit: Outfit, side: int, phase: float, stride: float, hip: float) -> list[Limb]:
    """Return thigh, shank and shoe of one leg."""
    turn = phase + (math.pi if side > 0 else 0.0)
    thigh = stride * 0.44 * math.sin(turn)
    bend = stride * (0.12 + 0.85 * max(0.0, math.cos(turn)) ** 2)
    left = 0.095 * side
    knee = (0.44 * math.sin(thigh), left, hip - 0.44 * math.cos(thigh))
    shank = thigh - bend
    ankle = (knee[0] + 0.42 * math.sin(shank), left, knee[2] - 0.42 * math.cos(shank))
    lift = max(0.045 - ankle[2], 0.0)
    ankle = (ankle[0], left, ankle[2] + lift)
    toe = (ankle[0] + 0.15 * math.cos(shank), left, ankle[2] - 0.02 + 0.10 * math.sin(shank))
    return [
        Limb((0.0, left, hip), knee, (0.095, 0.068), outfit.trousers, 0.56),
        Limb(knee, ankle, (0.066, 0.045), outfit.trousers, 0.46),
        Limb(ankle, toe, (0.045, 0.038), (40, 36, 34), 0.28),
    ]


def _arm(outfit: Outfit, side: int, phase: float, stride: float, shoulder: float) -> list[Limb]:
    """Return upper arm, forearm and hand of one arm, swinging against the leg."""
    swing = stride * 0.5 * math.sin(phase + (0.0 if side > 0 else math.pi))
    joint = (0.0, 0.20 * side, shoulder - 0.02)
    elbow = (0.28 * math.sin(swing), 0.225 * side, joint[2] - 0.28 * math.cos(swing))
    reach = swing + 0.25 + 0.25 * stride
    wrist = (elbow[0] + 0.25 * math.sin(reach), 0.22 * side, elbow[2] - 0.25 * math.cos(reach))
    hand = (wrist[0] + 0.08 * math.sin(reach), 0.22 * side, wrist[2] - 0.08 * math.cos(reach))
    return [
        Limb(joint, elbow, (0.062, 0.05), outfit.coat, 0.52),
        Limb(elbow, wrist, (0.048, 0.038), outfit.coat, 0.50),
        Limb(wrist, hand, (0.036, 0.034), outfit.skin, 0.86),
    ]


def _draw(limbs: list[Limb], heading: float, cloth: FloatImage, elevation: float = 0.0) -> Texture:
    """Draw limbs far to near as softly lit round shapes."""
    rows, columns = cloth.shape
    rgb = np.zeros((rows, columns, 3), np.float32)
    heat = np.zeros((rows, columns), np.float32)
    coverage = np.zeros((rows, columns), np.float32)

    def depth(limb: Limb) -> float:
        middle = [(a + b) / 2 for a, b in zip(limb.start, limb.stop, strict=True)]
        ahead = middle[0] * math.cos(heading) + middle[1] * math.sin(heading)
        return ahead * math.cos(elevation) - middle[2] * math.sin(elevation)

    for limb in sorted(limbs, key=depth, reverse=True):
        start, stop = (_on_picture(end, heading, elevation) for end in (limb.start, limb.stop))
        low = np.minimum(start, stop) - 1.3 * max(limb.radii) * _PER_M
        high = np.maximum(start, stop) + 1.3 * max(limb.radii) * _PER_M
        x0, y0 = np.clip(low.astype(int), 0, (columns, rows))
        x1, y1 = np.clip(high.astype(int) + 1, 0, (columns, rows))
        area = (slice(int(y0), int(y1)), slice(int(x0), int(x1)))
        cover, shade, rim = _capsule(area, start, stop, limb.radii)
        folds = cloth[area] * np.float32(0.03 if limb.warmth > 0.8 else 0.075)
        tone = (shade + folds)[..., None] * np.array(limb.colour, np.float32)
        rgb[area] += cover[..., None] * (tone - rgb[area])
        warmth = _BODY_K * (limb.warmth - 0.10 * rim + 0.5 * folds)
        heat[area] += cover * (warmth - heat[area])
        coverage[area] = np.maximum(coverage[area], cover)
    return Texture.build(rgb, heat, coverage)


def _on_picture(
    point: tuple[float, float, float], heading: float, elevation: float
) -> NDArray[np.float64]:
    """Project a body point (forward, left, up) to picture pixels; from above, feet move up."""
    right = point[0] * math.sin(heading) - point[1] * math.cos(heading)
    ahead = point[0] * math.cos(heading) + point[1] * math.sin(heading)
    up = point[2] * math.cos(elevation) + (ahead + _FEET_M) * math.sin(elevation)
    return np.array([(WIDTH_M / 2 + right) * _PER_M, (HEIGHT_M - 0.01 - up) * _PER_M])


def _capsule(
    area: tuple[slice, slice],
    start: NDArray[np.float64],
    stop: NDArray[np.float64],
    radii: tuple[float, float],
) -> tuple[FloatImage, FloatImage, FloatImage]:
    """Return coverage, shading and closeness to the rim of one tapered capsule."""
    y, x = np.mgrid[area].astype(np.float32)
    along = stop - start
    length = max(float(along @ along), 1e-3)
    share = ((x - start[0]) * along[0] + (y - start[1]) * along[1]) / length
    share = np.clip(share, 0, 1)
    off_x = x - (start[0] + share * along[0])
    off_y = y - (start[1] + share * along[1])
    radius = _PER_M * (radii[0] + share * (radii[1] - radii[0]))
    distance = np.hypot(off_x, off_y)
    cover = np.clip(radius - distance + 0.5, 0, 1).astype(np.float32)
    rim = np.clip(distance / radius, 0, 1).astype(np.float32)
    lit = (-0.62 * off_x - 0.5 * off_y) / radius
    shade = (0.74 + 0.34 * lit + 0.14 * np.sqrt(1 - np.minimum(rim, 0.999) ** 2)).astype(np.float32)
    return cover, shade, rim**3
