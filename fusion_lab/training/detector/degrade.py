"""What goes wrong with either camera, applied to training pictures.

Every function takes and returns float32 planes in [0, 1], visible ``HxWx3`` or thermal ``HxW``; the
results may leave the range and are clipped once by the caller.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.types import FloatImage

_Planes = NDArray[Any]
Change = Callable[[_Planes, np.random.Generator], _Planes]


def _tone(image: _Planes, rng: np.random.Generator) -> _Planes:
    gain = (rng.uniform(0.7, 1.3) * rng.uniform(0.9, 1.1, 3)).astype(np.float32)
    return _power(image, rng.uniform(0.6, 1.6)) * gain


def _gray(image: _Planes, _: np.random.Generator) -> _Planes:
    return np.repeat(image.mean(2, keepdims=True), 3, 2)


def _night(image: _Planes, rng: np.random.Generator) -> _Planes:
    """Darken, light lamps, then add the sensor noise that a long exposure cannot hide."""
    dark = _power(image, rng.uniform(1, 2)) * np.float32(rng.uniform(0.08, 0.5))
    return _noise(_lit(dark, int(rng.integers(0, 10)), (0.003, 0.04), rng), rng)


def _veil(image: _Planes, rng: np.random.Generator) -> _Planes:
    """Lay smoke or haze over the picture: J t + A (1 - t), Koschmieder's law."""
    thickness = rng.uniform(0.5, 5) * (_cloud(image, rng) - rng.uniform(-0.5, 0.6))
    through = np.exp(-np.clip(thickness, 0, None))[..., None]
    air = np.float32(rng.uniform(0.35, 0.95)) * rng.uniform(0.93, 1.0, 3).astype(np.float32)
    return np.asarray(image * through + air * (1 - through))


def _glare(image: _Planes, rng: np.random.Generator) -> _Planes:
    """Add the light of one to three lamps that blind the camera."""
    return _lit(image, int(rng.integers(1, 4)), (0.05, 0.3), rng)


def _blur(image: _Planes, rng: np.random.Generator) -> _Planes:
    if rng.random() < 0.5:
        sigma = float(rng.uniform(0.5, 2.0))
        return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.float32)
    length = int(rng.integers(3, 10))
    return np.asarray(cv2.blur(image, (length, 1)), np.float32)


def _jpeg(image: _Planes, rng: np.random.Generator) -> _Planes:
    eight = (image.clip(0, 1) * 255).astype(np.uint8)
    data = cv2.imencode(".jpg", eight, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(12, 60))])[1]
    decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_UNCHANGED), np.float32)
    return np.asarray(decoded / np.float32(255))


def _noise(image: _Planes, rng: np.random.Generator) -> _Planes:
    noise = rng.standard_normal(image.shape, np.float32)
    return np.asarray(image + noise * np.float32(rng.uniform(0.005, 0.05)))


def _contrast(image: _Planes, rng: np.random.Generator) -> _Planes:
    curved = _power(image, rng.uniform(0.6, 1.6)) - np.float32(0.5)
    gain, middle = rng.uniform(0.5, 1.3), rng.uniform(0.35, 0.65)
    return np.asarray(curved * np.float32(gain) + np.float32(middle))


def _faint(image: _Planes, rng: np.random.Generator) -> _Planes:
    """Leave little contrast, as after rain or near body temperature."""
    mean = np.float32(image.mean())
    return np.asarray(mean + (image - mean) * np.float32(rng.uniform(0.15, 0.45)))


def _hot_ground(image: _Planes, rng: np.random.Generator) -> _Planes:
    """Warm large parts of the scene, so that not everything bright is alive."""
    return np.asarray(image + np.float32(rng.uniform(0.1, 0.5)) * _cloud(image, rng))


def _stripes(image: _Planes, rng: np.random.Generator) -> _Planes:
    columns = rng.standard_normal((1, image.shape[1]), np.float32)
    return np.asarray(image + columns * np.float32(rng.uniform(0.01, 0.05)))


def _inverted(image: _Planes, _: np.random.Generator) -> _Planes:
    return np.asarray(1 - image)


def _equalised(image: _Planes, rng: np.random.Generator) -> _Planes:
    """Stretch contrast by the histogram, of the whole or of parts, as many cameras do."""
    eight = (image.clip(0, 1) * 255).astype(np.uint8)
    parts = int(rng.choice([1, 2, 4, 8]))
    stretched = cv2.createCLAHE(float(rng.uniform(1.5, 8)), (parts, parts)).apply(eight)
    share = np.float32(rng.uniform(0.3, 1))
    return np.asarray(image + share * (stretched.astype(np.float32) / np.float32(255) - image))


def _clipped(image: _Planes, rng: np.random.Generator) -> _Planes:
    """Stretch a part of the range, so that what is hot, or cold, has one value."""
    low, high = np.percentile(image, (rng.uniform(0, 15), rng.uniform(88, 100)))
    return np.asarray((image - low) / np.float32(max(float(high - low), 0.1)), np.float32)


def _coarse(image: _Planes, rng: np.random.Generator) -> _Planes:
    """Show what a camera of fewer pixels would."""
    share = rng.uniform(0.3, 0.8)
    size = [max(8, round(share * edge)) for edge in image.shape[1::-1]]
    reduced = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(reduced, image.shape[1::-1], interpolation=cv2.INTER_LINEAR))


def _sharpened(image: _Planes, rng: np.random.Generator) -> _Planes:
    """Exaggerate edges, with the rims that cameras draw around warm things."""
    smooth = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(1, 4)))
    return np.asarray(image + np.float32(rng.uniform(0.3, 1.5)) * (image - smooth), np.float32)


def _shaded(image: _Planes, rng: np.random.Generator) -> _Planes:
    """Add the slow drift over the picture of a sensor whose shutter has not closed for long."""
    drift = _cloud(image, rng) - np.float32(0.5)
    return np.asarray(image + np.float32(rng.uniform(0.05, 0.3)) * drift)


def _tinted(image: _Planes, rng: np.random.Generator) -> _Planes:
    """Give colours another cast and strength, as another camera would."""
    gray = image.mean(2, keepdims=True)
    strength = np.float32(rng.uniform(0.2, 1.5))
    cast = rng.uniform(0.8, 1.2, 3).astype(np.float32)
    return np.asarray((gray + strength * (image - gray)) * cast)


def _lit(
    image: _Planes, lamps: int, reach: tuple[float, float], rng: np.random.Generator
) -> _Planes:
    """Add lamps, each a bell of light whose radius is within ``reach`` of the picture's width."""
    height, width = image.shape[:2]
    y, x = np.ogrid[:height, :width]
    light = np.zeros((height, width), np.float32)
    for _ in range(lamps):
        far = (x - rng.uniform(0, width)) ** 2 + (y - rng.uniform(0, height)) ** 2
        light += np.exp(-far / (rng.uniform(*reach) * width) ** 2) * rng.uniform(0.5, 2)
    return image + light[..., None]


def _power(image: _Planes, exponent: float) -> _Planes:
    return np.asarray(cv2.pow(image.clip(0), exponent), np.float32)


def _cloud(image: _Planes, rng: np.random.Generator) -> _Planes:
    """Return smooth noise in about [0, 1] of the picture's size."""
    coarse = rng.random((int(rng.integers(2, 7)), int(rng.integers(2, 7))), np.float32)
    size = (image.shape[1], image.shape[0])
    return np.asarray(cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC), np.float32)


class Step(NamedTuple):
    """One thing that may go wrong.

    Attributes:
        probability: How often it does.
        change: What it does to a picture.
        camera: It is no fault, but the way of another camera than those of the recordings.
    """

    probability: float
    change: Change
    camera: bool = False


VISIBLE: Final = (
    Step(0.5, _tone),
    Step(0.1, _gray),
    Step(0.2, _tinted, camera=True),
    Step(0.1, _coarse, camera=True),
    Step(0.1, _sharpened, camera=True),
    Step(0.3, _night),
    Step(0.3, _veil),
    Step(0.07, _glare),
    Step(0.1, _blur),
    Step(0.1, _noise),
    Step(0.15, _jpeg),
)
THERMAL: Final = (
    Step(0.15, _equalised, camera=True),
    Step(0.1, _clipped, camera=True),
    Step(0.5, _contrast),
    Step(0.1, _faint),
    Step(0.1, _hot_ground),
    Step(0.1, _coarse, camera=True),
    Step(0.1, _sharpened, camera=True),
    Step(0.1, _shaded, camera=True),
    Step(0.15, _blur),
    Step(0.2, _noise),
    Step(0.1, _stripes),
    Step(0.03, _inverted),
)


def degrade(
    image: FloatImage,
    steps: tuple[Step, ...],
    rng: np.random.Generator,
    *,
    other_cameras: bool = False,
) -> FloatImage:
    """Apply each step with its probability, in order, and clip to [0, 1].

    Args:
        image: ``HxWx3`` visible or ``HxW`` thermal in [0, 1].
        steps: ``VISIBLE`` or ``THERMAL``.
        rng: Where chance comes from.
        other_cameras: Take those of other cameras, too.
    """
    for probability, change, camera in steps:
        if (other_cameras or not camera) and rng.random() < probability:
            image = change(image, rng)
    return np.asarray(image.clip(0, 1), np.float32)


def blinded(image: FloatImage, rng: np.random.Generator) -> FloatImage:
    """Return what a dead camera shows in the place of ``image``: black, one value, or noise."""
    kind = rng.integers(3)
    if kind == 0:
        return np.zeros_like(image)
    if kind == 1:
        return np.full_like(image, rng.random())
    return np.asarray(rng.random(image.shape, np.float32) * np.float32(rng.random()), np.float32)
