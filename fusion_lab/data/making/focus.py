"""Two focus settings of one scene: depth, defocus with soft occlusion edges, focus breathing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

import cv2
import numpy as np

from fusion_core.types import FloatImage, Mask, UInt8Image
from fusion_lab.data.making.pair import MadePair, pixel_scale, region_field, to_levels

_LAYERS: Final = 7
# A blur below this radius in pixels cannot be told from none.
_LEAST_RADIUS: Final = 0.35
# Least share of the picture that either setting has in focus.
_LEAST_SHARE: Final = 0.08
Focus = Literal["near", "far"]


@dataclass(frozen=True, slots=True)
class FocusRanges:
    """What is drawn for each pair.

    Attributes:
        radius: Radius of the largest blur in each picture, in pixels of one with 480 rows.
        gaussian_share: Share of pairs blurred by a Gaussian instead of a disc.
        flat_share: Share of pairs without a ground plane: things before a flat background.
        breathing: Relative change of scale of the second picture, which is then out of register
            with the target by up to this share of half the picture.
        breathing_share: Share of pairs with breathing.
        noise: Deviation of the sensor's noise in [0, 1].
        jpeg_share: Share of pictures compressed as JPEG.
    """

    radius: tuple[float, float] = (2.0, 10.0)
    gaussian_share: float = 0.3
    flat_share: float = 0.4
    breathing: tuple[float, float] = (0.001, 0.006)
    breathing_share: float = 0.2
    noise: tuple[float, float] = (0.0, 0.006)
    jpeg_share: float = 0.4


FOCUS: Final = FocusRanges()


def focus_pair(
    picture: UInt8Image, rng: np.random.Generator, ranges: FocusRanges = FOCUS
) -> MadePair:
    """Return one picture as seen with the near and the far part in focus, in random order.

    Every point is in focus in one of the two; the farther it is from the depth that divides them,
    the more it is blurred in the other.

    Args:
        picture: ``HxWx3`` uint8 RGB, sharp everywhere.
        rng: Source of all that is random.
        ranges: What is drawn.
    """
    depth = random_depth(picture, rng, flat=rng.random() < ranges.flat_share)
    divide = _dividing_depth(depth, rng)
    gaussian = bool(rng.random() < ranges.gaussian_share)
    noise = rng.uniform(*ranges.noise)
    kinds: list[Focus] = ["near", "far"]
    shot: list[UInt8Image] = []
    for kind in rng.permutation(kinds):
        radius = rng.uniform(*ranges.radius) * pixel_scale(picture.shape)
        seen = defocus(picture, depth, divide, radius, kind, gaussian=gaussian)
        if shot and rng.random() < ranges.breathing_share:
            seen = _breathe(seen, rng.choice([-1, 1]) * rng.uniform(*ranges.breathing))
        seen = seen + noise * rng.standard_normal(seen.shape, np.float32)
        shot.append(to_levels(seen, rng, ranges.jpeg_share))
    return MadePair(shot[0], shot[1], picture)


def defocus(
    picture: UInt8Image,
    depth: FloatImage,
    divide: float,
    radius: float,
    focus: Focus,
    *,
    gaussian: bool = False,
) -> FloatImage:
    """Return a picture with one side of a depth in focus.

    The scene is composed from far to near in layers. Each is blurred as a whole, with what it
    hides filled in from its surroundings: the blurred rim of a near thing lets the background
    shine through, and a sharp one keeps its edge before a blurred background.

    Args:
        picture: ``HxWx3`` uint8 RGB, sharp everywhere.
        depth: ``HxW`` in [0, 1], 1 is far.
        divide: Depth up to which ``near`` and from which on ``far`` is in focus.
        radius: Blur in pixels at the depth farthest from ``divide`` on the other side.
        focus: The side in focus.
        gaussian: Blur by a Gaussian of the same variance instead of a disc.

    Returns:
        ``HxWx3`` float32 in [0, 1].
    """
    colour: FloatImage = picture.astype(np.float32) / np.float32(255)
    levels = _layer_depths(depth, divide)
    ends = float(depth.min()), float(depth.max())
    result = np.zeros_like(colour)
    farthest = True
    for low, high in reversed(list(pairwise(levels))):
        inside = (depth >= low) & (depth < high)
        if not inside.any():
            continue
        amount = radius * _blur_share(float(depth[inside].mean()), divide, ends, focus)
        layer = _blur(_fill(colour, inside, radius), amount, gaussian=gaussian)
        if farthest:
            result, farthest = layer, False
            continue
        alpha = _blur(_extend(inside, depth < high, radius), amount, gaussian=gaussian)[..., None]
        result = result + alpha * (layer - result)
    return result


def random_depth(picture: UInt8Image, rng: np.random.Generator, *, flat: bool) -> FloatImage:
    """Return a depth map: a background or a tilted ground plane, and up to four things before it.

    Args:
        picture: ``HxWx3`` uint8 RGB; outlines follow its edges here and there.
        rng: Source of randomness.
        flat: A background of one depth instead of a plane.

    Returns:
        ``HxW`` float32 in [0, 1], 1 is far.
    """
    height, width = picture.shape[:2]
    depth = np.ones((height, width), np.float32)
    if not flat:
        y, x = np.mgrid[0:height, 0:width].astype(np.float32)
        tilt = rng.normal(0, 0.5)
        ramp = math.cos(tilt) * (1 - y / height) + math.sin(tilt) * (x / width - 0.5)
        low, high = np.percentile(ramp, [2, 98])
        depth = np.clip((ramp - low) / (high - low), 0, 1) ** np.float32(rng.uniform(0.6, 1.6))
    nearest = 0.75
    for _ in range(int(rng.integers(1 if flat else 0, 5))):
        field = region_field(picture, rng, rng.uniform(0.25, 0.9), rng.uniform(-0.8, 0.8))
        covered = field > np.quantile(field, rng.uniform(0.55, 0.94))
        nearest *= rng.uniform(0.4, 0.95)
        depth = np.where(covered & (depth > nearest), np.float32(nearest), depth)
    return np.asarray(depth, np.float32)


def _dividing_depth(depth: FloatImage, rng: np.random.Generator) -> float:
    """Return a depth with a share of the picture before and behind it, in a gap where there is."""
    values = np.sort(depth[::4, ::4].ravel())
    margin = max(1, int(_LEAST_SHARE * len(values)))
    gaps = np.diff(values[margin:-margin])
    widest = int(np.argmax(gaps))
    if gaps[widest] > 0.05:
        return float(values[margin + widest] + gaps[widest] * rng.uniform(0.2, 0.8))
    return float(values[rng.integers(margin, len(values) - margin)])


def _layer_depths(depth: FloatImage, divide: float) -> list[float]:
    """Return borders of layers, of which one divides what is in focus from what is not."""
    low, high = float(depth.min()) - 1e-3, float(depth.max()) + 1e-3
    return sorted({*np.linspace(low, high, _LAYERS).tolist(), min(max(divide, low), high)})


def _blur_share(depth: float, divide: float, ends: tuple[float, float], focus: Focus) -> float:
    """Return the blur at a depth, 1 at the end of the scene that is out of focus."""
    end = ends[1] if focus == "near" else ends[0]
    return float(np.clip((depth - divide) / (end - divide), 0, 1)) if end != divide else 0.0


def _extend(inside: Mask, nearer: Mask, reach: float) -> FloatImage:
    """Return the layer's mask, which goes on a little behind what is nearer."""
    side = 2 * math.ceil(reach) + 1
    ring = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return np.asarray(cv2.dilate(inside.astype(np.float32), ring) * nearer, np.float32)


def _fill(colour: FloatImage, inside: Mask, reach: float) -> FloatImage:
    """Return the colour inside, and outside it the colour of the nearest surroundings."""
    if inside.all() or reach < _LEAST_RADIUS:
        return colour
    height, width = inside.shape
    known = np.dstack([colour * inside[..., None], inside.astype(np.float32)])
    total = 1e-9 * known.mean(axis=(0, 1), dtype=np.float32) * np.ones_like(known)
    # What the narrow average does not reach, the wider and coarser ones fill.
    for factor, trust in ((1, 1.0), (4, 1e-3), (16, 1e-6)):
        size = max(1, width // factor), max(1, height // factor)
        small = cv2.resize(known, size, interpolation=cv2.INTER_AREA)
        spread = cv2.GaussianBlur(small, (0, 0), max(reach / 3, 1.0))
        total += trust * cv2.resize(spread, (width, height))
    return np.where(inside[..., None], colour, total[..., :3] / total[..., 3:])


def _blur(image: FloatImage, radius: float, *, gaussian: bool) -> FloatImage:
    if radius < _LEAST_RADIUS:
        return image
    if gaussian:
        # A disc of radius r has the variance r^2 / 4 along each axis.
        return np.asarray(cv2.GaussianBlur(image, (0, 0), radius / 2), np.float32)
    border = cv2.BORDER_REFLECT_101
    return np.asarray(cv2.filter2D(image, cv2.CV_32F, _disc(radius), borderType=border), np.float32)


def _disc(radius: float) -> FloatImage:
    """Return a disc of unit sum with a soft rim of one pixel."""
    reach = math.ceil(radius)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1)
    return np.asarray(disc / disc.sum(), np.float32)


def _breathe(image: FloatImage, change: float) -> FloatImage:
    """Return the picture scaled about its middle by 1 + change."""
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), 0.0, 1 + change)
    warped = cv2.warpAffine(
        image, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
    )
    return np.asarray(warped, np.float32)
