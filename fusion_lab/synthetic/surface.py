"""Large planes: the ground and the fronts of houses, with texture detail chosen by distance."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.types import Box, FloatImage
from fusion_lab.synthetic.canvas import Canvas, Pixels, Texture

_BAND_RATIO = 1.45
_NEAREST_M, _FARTHEST_M = 3.0, 110.0
_REFERENCE_FOCAL = 520.0


@dataclass(frozen=True, slots=True)
class Plane:
    """A textured rectangle in the world.

    Attributes:
        origin: World point of the texture's top-left corner.
        across: Unit vector along the texture's columns.
        down: Unit vector along its rows.
        normal: Unit vector out of the visible side.
        density: Texture pixels per metre along columns and rows, at full detail.
        bands: Copies of the texture for rising distance, each as fine as its distance can show.
    """

    origin: NDArray[np.float64]
    across: NDArray[np.float64]
    down: NDArray[np.float64]
    normal: NDArray[np.float64]
    density: tuple[float, float]
    bands: tuple[Texture, ...]

    @classmethod
    def build(
        cls,
        texture: Texture,
        origin: tuple[float, float, float],
        across: tuple[float, float, float],
        down: tuple[float, float, float],
        *,
        density: tuple[float, float],
        slant: tuple[float, float],
    ) -> Plane:
        """Prepare a plane.

        Args:
            texture: The picture at full detail.
            origin: World point of its top-left corner.
            across: Unit vector along its columns.
            down: Unit vector along its rows.
            density: Pixels per metre along columns and rows.
            slant: Distance from the camera's path at which foreshortening sets in, along columns
                and rows, in metres; infinite where the plane faces the camera.
        """
        edge, fall = np.array(across, np.float64), np.array(down, np.float64)
        bands = []
        for band in range(_band_count()):
            distance = _NEAREST_M * _BAND_RATIO ** (band + 0.5)
            shrink = [
                max(1.0, 0.8 * rate * distance * max(1.0, distance / reach) / _REFERENCE_FOCAL)
                for rate, reach in zip(density, slant, strict=True)
            ]
            bands.append(_resized(texture, shrink[0], shrink[1]))
        normal = np.cross(edge, fall)
        return cls(np.array(origin, np.float64), edge, fall, normal, density, tuple(bands))

    def paint(self, canvas: Canvas, heat_gain: float) -> None:
        """Paint the plane over what is on the canvas."""
        rays = canvas.camera.rays()
        centre = canvas.camera.pose.centre
        offset = float(self.normal @ (self.origin - centre))
        inverse = _affine_grid(self.normal @ rays / offset, canvas.owner.shape)
        to_plane = self._pixels_to_metres(rays, centre, offset)
        zoom = canvas.camera.focal / _REFERENCE_FOCAL
        for band, texture in enumerate(self.bands):
            near = zoom * _NEAREST_M * _BAND_RATIO**band
            near_limit = 1e9 if band == 0 else 1 / near
            here = ((inverse <= near_limit) & (inverse > 1 / (near * _BAND_RATIO))).view(np.uint8)
            x, y, width, height = cv2.boundingRect(here)
            if width == 0:
                continue
            layer = (texture.colour if canvas.modality == "visible" else texture.heat)[0]
            patch = self._warped(layer, to_plane, (x, y, width, height))
            region = (slice(y, y + height), slice(x, x + width))
            chosen = here[region]
            patch = cv2.copyTo(patch, chosen)
            canvas.blend(patch, region, inverse[region], heat_gain)

    def _pixels_to_metres(
        self, rays: NDArray[np.float64], centre: NDArray[np.float64], offset: float
    ) -> NDArray[np.float64]:
        """Return the 3x3 map from image pixels to metres along columns and rows of the plane."""
        facing = self.normal @ rays
        start = centre - self.origin
        rows = [(axis @ start) * facing + offset * (axis @ rays) for axis in self._axes()]
        return np.vstack((*rows, facing))

    def _axes(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return self.across, self.down

    def _warped(self, layer: Pixels, to_plane: NDArray[np.float64], box: Box) -> Pixels:
        """Fetch the texture for one rectangle of the image."""
        full = self.bands[0].heat[0].shape
        rows, columns = layer.shape[:2]
        scale_x = self.density[0] * columns / full[1]
        scale_y = self.density[1] * rows / full[0]
        to_texture = np.array([[scale_x, 0, -0.5], [0, scale_y, -0.5], [0, 0, 1.0]])
        shift = np.array([[1.0, 0, box[0]], [0, 1.0, box[1]], [0, 0, 1.0]])
        matrix = to_texture @ to_plane @ shift
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        size = (int(box[2]), int(box[3]))
        return np.asarray(cv2.warpPerspective(layer, matrix, size, flags=flags))


def _band_count() -> int:
    """Return how many distance bands there are."""
    return int(np.ceil(np.log(_FARTHEST_M / _NEAREST_M) / np.log(_BAND_RATIO)))


def _resized(texture: Texture, shrink_x: float, shrink_y: float) -> Texture:
    """Return the texture averaged down by a factor along columns and one along rows."""
    height, width = texture.heat[0].shape[:2]
    size = (max(2, round(width / shrink_x)), max(2, round(height / shrink_y)))
    if size == (width, height):
        return Texture(texture.colour[:1], texture.heat[:1])
    colour = cv2.resize(texture.colour[0], size, interpolation=cv2.INTER_AREA)
    heat = cv2.resize(texture.heat[0], size, interpolation=cv2.INTER_AREA)
    return Texture((np.asarray(colour, np.uint8),), (np.asarray(heat, np.float32),))


def _affine_grid(weights: NDArray[np.float64], shape: tuple[int, ...]) -> FloatImage:
    """Return ``weights @ (x, y, 1)`` for every pixel as float32."""
    x = np.arange(shape[1], dtype=np.float32) * np.float32(weights[0])
    y = np.arange(shape[0], dtype=np.float32) * np.float32(weights[1]) + np.float32(weights[2])
    return np.asarray(x[None, :] + y[:, None], np.float32)
