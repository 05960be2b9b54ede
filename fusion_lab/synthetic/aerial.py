"""The ground from a drone: registered pairs with people and vehicles of few pixels.

The view is straight down or oblique, from 20 to 120 m above ground. Ground, roofs and trees lie in
a plan in metres that one homography takes into the picture; people are drawn limb by limb as seen
from that height, vehicles as boxes. Thermal is drawn from temperatures of its own. The ground may
be a part of a recording instead, whose textures no drawing has.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.types import Box, FloatImage, UInt8Image
from fusion_lab.synthetic.noise import fractal_noise
from fusion_lab.synthetic.people import HEIGHT_M, WIDTH_M, figure, random_outfit

SIZE: Final = (640, 512)  # width and height in pixels
_PLAN: Final = 1100  # edge of the plan in pixels; its middle is what the camera looks at
_SCALES: Final = (4.5, 36.0)  # pixels per metre in the middle of the picture
_LEAST_HEIGHT, _LEAST_SHARE = 7, 0.4
_GROUND_K: Final = (5.0, 25.0)  # range of temperatures of a recorded ground
_CAR_M, _TRUCK_M = (4.4, 1.8, 1.45), (8.5, 2.4, 3.1)  # length, width, height


_Patch = tuple[FloatImage, FloatImage, FloatImage]  # colour, degrees Celsius, coverage


@dataclass(frozen=True, slots=True)
class AerialPair:
    """One picture of both cameras, and what it shows.

    Attributes:
        visible: ``HxWx3`` uint8 RGB.
        celsius: ``HxW`` float32 apparent temperature.
        boxes: Label (``person``, ``car``, ``truck``; ``ignore`` for what is too small to tell) and
            box of each object.
    """

    visible: UInt8Image
    celsius: FloatImage
    boxes: tuple[tuple[str, Box], ...]


class _Picture:
    """Both bands, and the way of points of the ground into them."""

    def __init__(self, rng: np.random.Generator, ground: UInt8Image | None) -> None:
        self.rng = rng
        self.night = bool(rng.random() < 0.25)
        self.air = float(rng.uniform(2, 28))
        nadir = rng.random() < 0.45
        self.elevation = math.pi / 2 if nadir else math.radians(rng.uniform(30, 75))
        self.scale = float(np.exp(rng.uniform(*np.log(_SCALES))))
        if not nadir:
            self.scale = float(np.exp(rng.uniform(*np.log((4.5, 24.0)))))
        field = _field(rng) if ground is None else _recorded(rng, ground)
        rgb, heat = _plan(rng, field, self.scale, self.night)
        self.matrix = self._homography()
        self.rgb = self._seen(rgb)
        self.celsius = np.float32(self.air) + self._seen(heat)
        self.taken = np.zeros(SIZE[::-1], np.uint8)
        self.boxes: list[tuple[str, Box]] = []
        self._last: tuple[float, float] | None = None

    def _seen(self, plan: FloatImage) -> FloatImage:
        """Return a plane of the plan as the camera sees it."""
        edge = cv2.BORDER_REFLECT
        seen = cv2.warpPerspective(plan, self.matrix, SIZE, flags=cv2.INTER_AREA, borderMode=edge)
        return np.asarray(seen, np.float32)

    def _homography(self) -> NDArray[np.float64]:
        """Return the map of plan pixels to the picture's: turned, then foreshortened."""
        turn = cv2.getRotationMatrix2D((_PLAN / 2, _PLAN / 2), float(self.rng.uniform(0, 360)), 1.0)
        turned = np.vstack([turn, [0, 0, 1]])
        squeeze, lean = math.sin(self.elevation), 0.55 * math.cos(self.elevation) / SIZE[1]
        centre = np.array([[1, 0, -_PLAN / 2], [0, 1, -_PLAN / 2], [0, 0, 1]], np.float64)
        view = np.array([[1, 0, 0], [0, squeeze, 0], [0, -lean, 1]], np.float64)
        back = np.array([[1, 0, SIZE[0] / 2], [0, 1, SIZE[1] / 2], [0, 0, 1]], np.float64)
        return np.asarray(back @ view @ centre @ turned, np.float64)

    def spot(self, *, company: float = 0.0) -> tuple[float, float, float] | None:
        """Return pixel x, y and pixels per metre of a random place in view; None for none.

        Args:
            company: Probability that it is near the last place.
        """
        x, y = self.rng.uniform(0.02, 0.98, 2) * SIZE
        if self._last is not None and self.rng.random() < company:
            x, y = np.asarray(self._last) + self.rng.normal(0, 1.2 * self.scale, 2)
        self._last = (float(x), float(y))
        plan = np.linalg.inv(self.matrix) @ (x, y, 1.0)
        plan = plan / plan[2]
        if plan[:2].min() < -_PLAN / 2 or plan[:2].max() > 1.5 * _PLAN:
            return None
        depth = float((self.matrix @ plan)[2])
        scale = self.scale / depth if depth > 0.3 else 0.0
        return (float(x), float(y), scale) if 3.5 < scale < 60 else None

    def lay(self, patch: _Patch, middle: tuple[float, float], foot: float, label: str) -> None:
        """Lay a patch over both bands; an object that is cut or covers another one is left out.

        Args:
            patch: What to lay.
            middle: Pixel x and y of the point of the ground that it stands on.
            foot: Where this point is in the patch, as a share of its height.
            label: Its label; empty for what is no object.
        """
        rgb, celsius, cover = patch
        height, width = cover.shape
        left, top = round(middle[0] - width / 2), round(middle[1] - foot * height)
        right, bottom = left + width, top + height
        x0, y0, x1, y1 = max(0, left), max(0, top), min(SIZE[0], right), min(SIZE[1], bottom)
        if x1 - x0 < 2 or y1 - y0 < 2:
            return
        part = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
        area = (slice(y0, y1), slice(x0, x1))
        solid = cover > 0.4
        seen = solid[part]
        if seen.sum() < _LEAST_SHARE * max(1, solid.sum()) or (self.taken[area][seen] > 0).any():
            return
        share = cover[part]
        self.rgb[area] += share[..., None] * (rgb[part] - self.rgb[area])
        self.celsius[area] += share * (celsius[part] - self.celsius[area])
        self.taken[area][seen] = 1
        x, y, w, h = cv2.boundingRect(seen.astype(np.uint8))
        if label:
            label = label if max(w, h) >= _LEAST_HEIGHT else "ignore"
            self.boxes.append((label, (float(x0 + x), float(y0 + y), float(w), float(h))))


def draw_aerial(seed: int, ground: UInt8Image | None = None) -> AerialPair:
    """Return the pair of a seed.

    Args:
        seed: Seed of all that is random.
        ground: ``HxWx4`` uint8 red, green, blue, thermal: what covers the ground; None: drawn.
    """
    rng = np.random.default_rng((seed, 77))
    picture = _Picture(rng, ground)
    for _ in range(int(rng.integers(0, 9))):
        _vehicle(picture)
    for _ in range(int(rng.integers(2, 14))):
        _person(picture)
    for _ in range(int(rng.integers(0, 12))):
        _warm_spot(picture)
    return _exposed(picture)


def _person(picture: _Picture) -> None:
    """Put one person somewhere, often near the last one, with a shadow by day."""
    rng, spot = picture.rng, picture.spot(company=0.3)
    if spot is None:
        return
    x, y, scale = spot
    heading, stride = float(rng.uniform(0, 2 * math.pi)), float(rng.random() < 0.7)
    texture = figure(rng, random_outfit(rng), heading, picture.elevation, stride=stride)
    size = (max(3, round(WIDTH_M * scale)), max(3, round(HEIGHT_M * scale)))
    packed = cv2.resize(texture.colour[0].astype(np.float32), size, interpolation=cv2.INTER_AREA)
    heat = cv2.resize(texture.heat[0], size, interpolation=cv2.INTER_AREA)
    cover = heat[..., 1]
    safe = np.maximum(cover, 0.02)
    body = (34.0 - picture.air) / 17.0
    celsius = picture.air + body * heat[..., 0] / safe
    if not picture.night and rng.random() < 0.6:
        _shadow(picture, (x, y), 1.5 * scale, 0.28 * scale)
    light = 0.25 if picture.night else 1.0
    rgb = packed[..., :3] / safe[..., None] * np.float32(light)
    picture.lay((_float(rgb), _float(celsius), _float(cover)), (x, y), 0.85, "person")


def _vehicle(picture: _Picture) -> None:
    """Put a car or truck somewhere: its flanks, its roof with panes, its bonnet."""
    rng, spot = picture.rng, picture.spot()
    if spot is None:
        return
    x, y, scale = spot
    truck = bool(rng.random() < 0.2)
    length, width, height = _TRUCK_M if truck else _CAR_M
    angle = float(rng.uniform(0, math.pi))
    running, air = bool(rng.random() < 0.5), picture.air
    sun = float(rng.uniform(-3, 1)) if picture.night else float(rng.uniform(0, 16))
    paint = np.full(3, rng.uniform(20, 240)) + float(rng.choice([0, 1])) * rng.uniform(-80, 80, 3)
    paint = paint.clip(10, 250) * (0.25 if picture.night else 1.0)
    reach = math.ceil((length + height) * scale) + 4
    rgb = np.zeros((2 * reach, 2 * reach, 3), np.float32)
    celsius, cover = np.zeros(rgb.shape[:2], np.float32), np.zeros(rgb.shape[:2], np.float32)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])

    def fill(box: tuple[float, float, float, float], up: float, tone: float, kelvin: float) -> None:
        """Fill a rectangle (back, front, left, right) at a height, in metres from the middle."""
        back, front, port, board = box
        ends = np.array([(back, port), (front, port), (front, board), (back, board)]) @ turn.T
        ends[:, 1] = ends[:, 1] * math.sin(picture.elevation) - up * math.cos(picture.elevation)
        mask = np.zeros(cover.shape, np.uint8)
        points = np.rint((ends * scale + reach) * 16).astype(np.int32)
        cv2.fillPoly(mask, [points], 255, cv2.LINE_AA, 4)
        share = mask.astype(np.float32) / 255
        np.maximum(cover, share, out=cover)
        colour = (paint * tone).astype(np.float32)
        rgb[:] += share[..., None] * (colour - rgb)
        celsius[:] += share * (np.float32(air + kelvin) - celsius)

    half, side = length / 2, width / 2
    if not picture.night:
        _shadow(picture, (x, y), 0.62 * length * scale, 0.6 * width * scale)
    for up in np.linspace(0.2, 0.6 * height, 4):
        fill((-half, half, -side, side), float(up), 0.55, 0.3 * sun + 2 * running)
    fill((-half, half, -side, side), 0.6 * height, 1.0, sun)
    fill((half - 1.1, half - 0.1, -side + 0.1, side - 0.1), 0.6 * height, 1.05, sun + 14 * running)
    fill((-half + 0.4, half - 1.2, -side + 0.1, side - 0.1), 0.8 * height, 0.3, -2.0)
    fill(
        (-half + (0.2 if truck else 0.9), half - 1.8, -side + 0.15, side - 0.15), height, 1.05, sun
    )
    label = "truck" if truck else "car"
    picture.lay((rgb, celsius, cover), (x, y), 0.5, label)


def _warm_spot(picture: _Picture) -> None:
    """Put something warm that is no person: a stone, a lid, a vent, a bush in the sun."""
    rng, spot = picture.rng, picture.spot()
    if spot is None:
        return
    x, y, scale = spot
    radii = np.maximum(rng.uniform(0.15, 1.0, 2) * scale, 1.5)
    reach = math.ceil(radii.max()) + 2
    mask = np.zeros((2 * reach, 2 * reach), np.uint8)
    angle, centre = float(rng.uniform(0, 180)), (reach, reach)
    if rng.random() < 0.5:
        axes = (round(radii[0]), round(radii[1]))
        cv2.ellipse(mask, centre, axes, angle, 0, 360, 255, -1, cv2.LINE_AA)
    else:
        corners = cv2.boxPoints((centre, (2 * radii[0], 2 * radii[1]), angle))
        cv2.fillPoly(mask, [np.rint(corners).astype(np.int32)], 255, cv2.LINE_AA)
    cover = mask.astype(np.float32) / 255
    light = 0.25 if picture.night else 1.0
    tint = rng.uniform(-70, 70, 3) * float(rng.random() < 0.3)
    rgb = np.zeros((*mask.shape, 3)) + (rng.uniform(20, 220) + tint).clip(5, 250) * light
    celsius = np.full(mask.shape, picture.air + rng.uniform(-4, 16), np.float32)
    picture.lay((_float(rgb), _float(celsius), _float(cover)), (x, y), 0.5, "")


def _shadow(picture: _Picture, at: tuple[float, float], reach: float, width: float) -> None:
    """Darken what lies beside an object."""
    mask = np.zeros(SIZE[::-1], np.uint8)
    centre = (round(at[0] + 0.45 * reach), round(at[1] + 0.1 * reach))
    axes = (max(1, round(0.5 * reach)), max(1, round(0.5 * width)))
    cv2.ellipse(mask, centre, axes, 12, 0, 360, 255, -1, cv2.LINE_AA)
    picture.rgb *= (1 - 0.45 * mask.astype(np.float32) / 255)[..., None]


def _plan(
    rng: np.random.Generator, field: tuple[FloatImage, FloatImage], scale: float, night: bool
) -> tuple[FloatImage, FloatImage]:
    """Return the ground from straight above: colour, and kelvins over the air."""
    sun = np.float32(-0.25 if night else rng.uniform(0.3, 1.2))
    rgb, heat = field
    for _ in range(int(rng.integers(0, 3))):
        _strip(rng, rgb, heat, scale)
    for _ in range(int(rng.integers(0, 3))):
        _roof(rng, rgb, heat, scale)
    for _ in range(int(rng.integers(0, 14))):
        _tree(rng, rgb, heat, scale)
    return rgb * np.float32(0.2 if night else rng.uniform(0.75, 1.1)), heat * sun


def _field(rng: np.random.Generator) -> tuple[FloatImage, FloatImage]:
    """Return grass, crops in rows, soil, sand, paving or snow."""
    tones = np.array(
        [(88, 112, 62), (70, 100, 50), (140, 120, 92), (186, 170, 140), (150, 150, 148)]
    )
    tone = tones[int(rng.integers(len(tones)))] * rng.uniform(0.7, 1.2)
    broad = fractal_noise(rng, _PLAN, _PLAN, 220, 4)
    fine = fractal_noise(rng, _PLAN, _PLAN, 7, 2)
    grain = 0.10 * broad + 0.09 * fine
    if rng.random() < 0.4:
        rows = np.sin(np.arange(_PLAN) * (2 * math.pi / rng.uniform(6, 26))).astype(np.float32)
        grain = grain + np.float32(rng.uniform(0.05, 0.18)) * rows[None, :]
    rgb = (1 + grain)[..., None] * tone.astype(np.float32)
    heat = np.float32(rng.uniform(-2, 8)) + np.float32(rng.uniform(0.4, 2.0)) * broad + 5 * grain
    return rgb.astype(np.float32), heat.astype(np.float32)


def _recorded(rng: np.random.Generator, ground: UInt8Image) -> tuple[FloatImage, FloatImage]:
    """Return a recorded ground, turned and repeated by reflection until it covers the plan."""
    turned = np.rot90(ground, int(rng.integers(4)))
    size = tuple(round(edge * float(rng.uniform(0.7, 1.5))) for edge in turned.shape[1::-1])
    tile = cv2.resize(np.ascontiguousarray(turned), size, interpolation=cv2.INTER_LINEAR)
    missing = [max(0, _PLAN - edge) for edge in tile.shape[:2]]
    tile = np.pad(tile, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="symmetric")
    tile = tile[:_PLAN, :_PLAN].astype(np.float32)
    heat = tile[..., 3] / np.float32(255) * np.float32(rng.uniform(*_GROUND_K))
    return np.ascontiguousarray(tile[..., :3]), np.asarray(
        heat - heat.mean() + rng.uniform(-2, 8), np.float32
    )


def _strip(rng: np.random.Generator, rgb: FloatImage, heat: FloatImage, scale: float) -> None:
    """Lay a road or path across."""
    mask = np.zeros(heat.shape, np.uint8)
    ends = rng.uniform(0, _PLAN, (2, 2)).astype(int)
    away = (ends[1] - ends[0]) * 4
    width = max(2, round(float(rng.uniform(1.5, 9)) * scale))
    first, last = (ends[0] - away).tolist(), (ends[1] + away).tolist()
    cv2.line(mask, first, last, 255, width, cv2.LINE_AA)
    share = cv2.GaussianBlur(mask, (0, 0), 1.5).astype(np.float32) / 255
    tone = np.float32(rng.uniform(70, 190)) * (1 + 0.06 * fractal_noise(rng, _PLAN, _PLAN, 30, 3))
    rgb += share[..., None] * (tone[..., None] - rgb)
    heat += share * (np.float32(rng.uniform(4, 18)) + 0.02 * tone - heat)
    if width > 5 * scale:
        cv2.line(rgb, first, last, (225, 225, 215), max(1, round(0.15 * scale)), cv2.LINE_AA)


def _roof(rng: np.random.Generator, rgb: FloatImage, heat: FloatImage, scale: float) -> None:
    """Lay a flat or ridged roof, with vents."""
    centre, size = rng.uniform(0, _PLAN, 2), rng.uniform(5, 22, 2) * scale
    box = (tuple(centre.tolist()), tuple(size.tolist()), float(rng.uniform(0, 180)))
    points = np.rint(cv2.boxPoints(box)).astype(np.int32)
    tone, kelvin = rng.uniform(50, 220, 3), float(rng.uniform(2, 24))
    cv2.fillPoly(rgb, [points], tone.tolist(), cv2.LINE_AA)
    cv2.fillPoly(heat, [points], kelvin)
    half = np.rint([points[0], points[1], (points[1] + points[2]) / 2, (points[0] + points[3]) / 2])
    cv2.fillPoly(rgb, [half.astype(np.int32)], (tone * 0.75).tolist(), cv2.LINE_AA)
    cv2.fillPoly(heat, [half.astype(np.int32)], kelvin * 0.7)


def _tree(rng: np.random.Generator, rgb: FloatImage, heat: FloatImage, scale: float) -> None:
    """Draw the crown of a tree or bush."""
    centre, radius = rng.uniform(0, _PLAN, 2), float(rng.uniform(0.6, 3.5)) * scale
    tone, kelvin = np.array([52, 78, 38]) * rng.uniform(0.6, 1.3), float(rng.uniform(-3, 3))
    for _ in range(30):
        leaf = np.rint(centre + rng.normal(0, 0.45 * radius, 2)).astype(int).tolist()
        size = max(1, round(radius * float(rng.uniform(0.12, 0.35))))
        cv2.circle(rgb, leaf, size, (tone * rng.uniform(0.7, 1.35)).tolist(), -1, cv2.LINE_AA)
        cv2.circle(heat, leaf, size, kelvin + float(rng.normal(0, 0.6)), -1)


def _exposed(picture: _Picture) -> AerialPair:
    """Return what the sensors make of a picture."""
    rng = picture.rng
    soft = cv2.GaussianBlur(picture.rgb, (0, 0), float(rng.uniform(0.4, 0.9)))
    noise = rng.standard_normal(soft.shape, np.float32) * np.float32(rng.uniform(1, 5))
    visible = np.clip(np.rint(soft + noise), 0, 255).astype(np.uint8)
    celsius = cv2.GaussianBlur(picture.celsius, (0, 0), float(rng.uniform(0.8, 1.6)))
    celsius += np.float32(0.06) * rng.standard_normal(celsius.shape, np.float32)
    return AerialPair(visible, np.asarray(celsius, np.float32), tuple(picture.boxes))


def _float(plane: NDArray[np.integer[Any] | np.floating[Any]]) -> FloatImage:
    return np.asarray(plane, np.float32)
