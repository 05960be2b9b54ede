"""Two exposures of one scene: light, camera response, noise, and clipping at both ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from fusion_core.types import FloatImage, UInt8Image
from fusion_lab.data.making.pair import MadePair, region_field, to_levels


@dataclass(frozen=True, slots=True)
class ExposureRanges:
    """What is drawn for each pair.

    Attributes:
        light: Stops between the brightest and the darkest part of the light that falls on the
            scene; with it each exposure shows one part and clips the other.
        margin: Stops by which the first picture shows the brightest part too dark, and the second
            one the darkest part too bright; less where that would clip it.
        peak: Electrons at full well, which set the shot noise.
        read: Deviation of the read noise as a share of full well.
        jpeg_share: Share of pictures compressed as JPEG.
    """

    light: tuple[float, float] = (0.5, 5.5)
    margin: tuple[float, float] = (0.2, 1.5)
    peak: tuple[float, float] = (2000.0, 20000.0)
    read: tuple[float, float] = (0.0003, 0.002)
    jpeg_share: float = 0.4


EXPOSURE: Final = ExposureRanges()


@dataclass(frozen=True, slots=True)
class Response:
    """A camera's curve from light to stored values, ``(1 + s) x^n / (x^n + s)``.

    Eilertsen et al. 2017 fit this curve to measured cameras: n about 0.9, s about 0.6.

    Attributes:
        power: ``n``.
        shoulder: ``s``; the larger, the later the curve bends.
    """

    power: float
    shoulder: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Response:
        """Return a random camera."""
        power, shoulder = rng.normal(0.9, 0.1), rng.normal(0.6, 0.1)
        return cls(float(np.clip(power, 0.6, 1.2)), float(np.clip(shoulder, 0.3, 1.2)))

    def to_values(self, light: FloatImage) -> FloatImage:
        """Return stored values in [0, 1] of light, of which 1 fills the well."""
        powered = np.power(np.clip(light, 0, 1), np.float32(self.power))
        return np.asarray((1 + self.shoulder) * powered / (powered + self.shoulder), np.float32)

    def to_light(self, values: FloatImage) -> FloatImage:
        """Return the light in [0, 1] of stored values."""
        powered = self.shoulder * values / (1 + self.shoulder - values)
        return np.asarray(np.power(powered, np.float32(1 / self.power)), np.float32)


def exposure_pair(
    picture: UInt8Image, rng: np.random.Generator, ranges: ExposureRanges = EXPOSURE
) -> MadePair:
    """Return one picture under- and over-exposed, as of a scene with more contrast than it has.

    The picture is taken as the ideal rendering of a scene that an uneven light falls on; both
    exposures are taken of that scene.

    Args:
        picture: ``HxWx3`` uint8 RGB, well exposed.
        rng: Source of all that is random.
        ranges: What is drawn.
    """
    contrast = rng.uniform(*ranges.light)
    light = contrast * uneven_light(picture, rng)
    below, above = _margins(picture, rng, ranges)
    stops = [-contrast / 2 - below, contrast / 2 + above]
    under, over = expose(picture, stops, rng, ranges, light=light)
    return MadePair(under, over, picture)


def expose(
    picture: UInt8Image,
    stops: Sequence[float],
    rng: np.random.Generator,
    ranges: ExposureRanges = EXPOSURE,
    light: FloatImage | None = None,
) -> list[UInt8Image]:
    """Return a bracket of one picture by one camera.

    Args:
        picture: ``HxWx3`` uint8 RGB, well exposed.
        stops: Stops of each exposure; 0 gives the picture itself, but for the noise.
        rng: Source of camera and noise.
        ranges: What is drawn; its light and margin are not used.
        light: ``HxW`` stops that the light on the scene adds to the picture; None for none.
    """
    response = Response.draw(rng)
    radiance = response.to_light(picture.astype(np.float32) / np.float32(255))
    if light is not None:
        radiance = radiance * np.exp2(light)[..., None]
    peak, read = rng.uniform(*ranges.peak), rng.uniform(*ranges.read)
    shot = []
    for stop in stops:
        exposed = radiance * np.float32(2.0**stop)
        deviation = np.sqrt(np.clip(exposed, 0, 1) / peak + read**2)
        noisy = exposed + deviation * rng.standard_normal(exposed.shape, np.float32)
        shot.append(to_levels(response.to_values(noisy), rng, ranges.jpeg_share))
    return shot


def uneven_light(picture: UInt8Image, rng: np.random.Generator) -> FloatImage:
    """Return ``HxW`` in [-0.5, 0.5]: the light in and outside a random part of the scene."""
    field = region_field(picture, rng, rng.uniform(0.5, 1.5), rng.uniform(-0.3, 1.5))
    steep = rng.uniform(0.7, 4.0)
    part = 1 / (1 + np.exp(-steep * (field - np.quantile(field, rng.uniform(0.2, 0.8)))))
    soft = cv2.GaussianBlur(part, (0, 0), 1 + min(part.shape) * rng.uniform(0, 0.03))
    return np.asarray(soft - 0.5, np.float32)


def _margins(
    picture: UInt8Image, rng: np.random.Generator, ranges: ExposureRanges
) -> tuple[float, float]:
    """Return stops down and up that leave most of the picture between black and white."""
    dark, bright = np.percentile(picture[::4, ::4], [30, 70]) / 255
    # Squares are near enough to the light of stored values here.
    down, up = 2 * np.log2(max(dark, 0.05) / 0.05), -2 * np.log2(min(max(bright, 1e-3), 1.0))
    below, above = rng.uniform(*ranges.margin, 2)
    return min(float(down), below), min(float(up), above)
