"""Textures and the canvas they are painted on, from far to near.

A colour texture packs opacity and glow into its fourth channel (128 x coverage + 127 x emission),
so that one perspective warp fetches everything that a pixel needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.types import FloatImage, Modality, UInt8Image
from fusion_lab.synthetic.camera import Camera

Pixels = NDArray[np.integer[Any] | np.floating[Any]]
_NEAR_M = 0.8


@dataclass(frozen=True, slots=True)
class Texture:
    """A picture of one object in both bands, with successively halved copies.

    Attributes:
        colour: Levels of ``HxWx4`` uint8: red, green, blue times coverage; packed opacity and glow.
        heat: Levels of ``HxWx2`` float32: degrees over the air times coverage; coverage.
    """

    colour: tuple[UInt8Image, ...]
    heat: tuple[FloatImage, ...]

    def mirrored(self) -> Texture:
        """Return the texture flipped left to right."""
        colours = tuple(np.ascontiguousarray(level[:, ::-1]) for level in self.colour)
        return Texture(colours, tuple(np.ascontiguousarray(level[:, ::-1]) for level in self.heat))

    @classmethod
    def build(
        cls,
        rgb: NDArray[np.float32],
        heat: FloatImage,
        coverage: FloatImage | None = None,
        emission: FloatImage | None = None,
        levels: int = 5,
    ) -> Texture:
        """Pack float layers: ``rgb`` in [0, 255], coverage and emission in [0, 1], heat in K."""
        opaque = np.ones(rgb.shape[:2], np.float32) if coverage is None else coverage
        glow = np.zeros(rgb.shape[:2], np.float32) if emission is None else emission
        packed = np.dstack((np.clip(rgb, 0, 255) * opaque[..., None], 128 * opaque + 127 * glow))
        colours = [np.clip(packed + 0.5, 0, 255).astype(np.uint8)]
        heats = [np.dstack((heat * opaque, opaque)).astype(np.float32)]
        while len(colours) < levels and min(colours[-1].shape[:2]) >= 8:
            size = (colours[-1].shape[1] // 2, colours[-1].shape[0] // 2)
            colours.append(np.asarray(_shrink(colours[-1], size), np.uint8))
            heats.append(np.asarray(_shrink(heats[-1], size), np.float32))
        return cls(tuple(colours), tuple(heats))


def _shrink(image: Pixels, size: tuple[int, int]) -> Pixels:
    """Average an image down to ``size`` (width, height)."""
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))


class Canvas:
    """Colour or temperature, glow, inverse depth and covering actor of every pixel of a camera.

    Attributes:
        camera: The camera.
        modality: ``visible`` fills ``colour`` and ``glow``; ``thermal`` fills ``celsius``.
        colour: ``HxWx3`` uint8 surface colour.
        glow: ``HxW`` uint8 share of own light.
        celsius: ``HxW`` float32 apparent temperature.
        inverse_depth: ``HxW`` float32 in 1/m, 0 for the sky.
        owner: ``HxW`` uint8 number of the actor that covers the pixel, 0 for the rest.
        air: Air temperature in degrees Celsius.
    """

    def __init__(self, camera: Camera, modality: Modality, air: float) -> None:
        shape = (camera.model.height, camera.model.width)
        self.camera = camera
        self.modality = modality
        self.air = air
        visible = modality == "visible"
        self.colour: UInt8Image = np.zeros((*shape, 3) if visible else (0, 0, 3), np.uint8)
        self.glow: UInt8Image = np.zeros(shape if visible else (0, 0), np.uint8)
        self.celsius: FloatImage = np.zeros((0, 0) if visible else shape, np.float32)
        self.inverse_depth: FloatImage = np.zeros(shape, np.float32)
        self.owner: UInt8Image = np.zeros(shape, np.uint8)

    def quad(
        self, texture: Texture, corners: NDArray[np.float64], heat_gain: float, owner: int = 0
    ) -> int:
        """Paint a texture on a flat quadrilateral and return how many pixels it covers.

        Args:
            texture: What to paint.
            corners: ``4x3`` world points of the texture's top-left, top-right, bottom-right and
                bottom-left corner.
            heat_gain: Factor on the texture's heat.
            owner: Number of the actor, 0 for anything else.
        """
        levels = texture.colour if self.modality == "visible" else texture.heat
        warped = self._warped(levels, corners)
        if warped is None:
            return 0
        patch, region, depth = warped
        return self.blend(patch, region, np.float32(1.0 / depth), heat_gain, owner)

    def blend(
        self,
        patch: Pixels,
        region: tuple[slice, slice],
        inverse_depth: FloatImage | np.float32,
        heat_gain: float,
        owner: int = 0,
    ) -> int:
        """Paint a warped patch over a region and return the number of pixels it covers."""
        if self.modality == "visible":
            packed = cv2.extractChannel(patch, 3)
            cover = cv2.add(packed, packed)
            hidden = cv2.bitwise_not(cover)
            rest = cv2.merge([hidden] * 3)
            behind = cv2.multiply(self.colour[region], rest, scale=1 / 255)
            self.colour[region] = cv2.add(behind, cv2.cvtColor(patch, cv2.COLOR_RGBA2RGB))
            dimmed = cv2.multiply(self.glow[region], hidden, scale=1 / 255)
            self.glow[region] = cv2.add(dimmed, np.maximum(packed, 128) - 128)
            solid = cover > 127
        else:
            cover = patch[..., 1]
            self.celsius[region] *= 1 - cover
            self.celsius[region] += self.air * cover + heat_gain * patch[..., 0]
            solid = cover > 0.5
        self.owner[region][solid] = owner
        np.copyto(self.inverse_depth[region], inverse_depth, where=solid)
        return int(np.count_nonzero(solid))

    def darken(self, texture: Texture, corners: NDArray[np.float64], strength: float) -> None:
        """Multiply the colour under a quadrilateral by 1 - strength x coverage: a shadow."""
        if self.modality != "visible" or strength <= 0.01:
            return
        warped = self._warped(texture.colour, corners)
        if warped is None:
            return
        patch, region, _ = warped
        packed = cv2.extractChannel(patch, 3)
        cover = cv2.add(packed, packed)
        keep = cv2.bitwise_not(cv2.convertScaleAbs(cover, alpha=strength))
        shaded = cv2.multiply(self.colour[region], cv2.merge([keep] * 3), scale=1 / 255)
        self.colour[region] = shaded

    def _warped(
        self, levels: tuple[Pixels, ...], corners: NDArray[np.float64]
    ) -> tuple[Pixels, tuple[slice, slice], float] | None:
        """Return the warped patch, its region and mean depth; None when it is out of view."""
        projected = self.camera.project(corners)
        if projected[:, 2].min() < _NEAR_M:
            cut = _cut_near(levels, corners, projected[:, 2])
            if cut is None:
                return None
            levels, projected = cut[0], self.camera.project(cut[1])
        warped = _warp_quad(levels, projected[:, :2], self.owner.shape)
        return None if warped is None else (*warped, float(projected[:, 2].mean()))


def _cut_near(
    levels: tuple[Pixels, ...], corners: NDArray[np.float64], depths: NDArray[np.float64]
) -> tuple[tuple[Pixels, ...], NDArray[np.float64]] | None:
    """Cut off the side of a quadrilateral that is too near; None when nothing is left."""
    for name, near, far in (
        ("left", [0, 3], [1, 2]),
        ("right", [1, 2], [0, 3]),
        ("top", [0, 1], [3, 2]),
        ("bottom", [3, 2], [0, 1]),
    ):
        if depths[far].min() < 1.02 * _NEAR_M:
            continue
        share = float(np.max((1.01 * _NEAR_M - depths[near]) / (depths[far] - depths[near])))
        kept = corners.copy()
        kept[near] += share * (corners[far] - corners[near])
        return tuple(_cropped(level, name, share) for level in levels), kept
    return None


def _cropped(level: Pixels, side: str, share: float) -> Pixels:
    """Return a texture without a share of its rows or columns on one side."""
    rows, columns = level.shape[:2]
    x, y = min(round(share * columns), columns - 1), min(round(share * rows), rows - 1)
    kept = {
        "left": level[:, x:],
        "right": level[:, : columns - x],
        "top": level[y:],
        "bottom": level[: rows - y],
    }
    return np.ascontiguousarray(kept[side])


def _warp_quad(
    levels: tuple[Pixels, ...], target: NDArray[np.float64], shape: tuple[int, ...]
) -> tuple[Pixels, tuple[slice, slice]] | None:
    """Warp the fitting level onto four image points; None when nothing falls into the image."""
    low = np.floor(target.min(axis=0)).astype(int) - 1
    high = np.ceil(target.max(axis=0)).astype(int) + 2
    x0, y0 = max(int(low[0]), 0), max(int(low[1]), 0)
    x1, y1 = min(int(high[0]), shape[1]), min(int(high[1]), shape[0])
    if x1 - x0 < 2 or y1 - y0 < 2:
        return None
    span = np.maximum(target.max(axis=0) - target.min(axis=0), 1.0)
    height, width = levels[0].shape[:2]
    shrink = min(width / span[0], height / span[1])
    level = int(np.clip(np.floor(np.log2(max(shrink, 1.0)) + 0.35), 0, len(levels) - 1))
    image = levels[level]
    height, width = image.shape[:2]
    source = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32) - 0.5
    matrix = cv2.getPerspectiveTransform(source, (target - (x0, y0)).astype(np.float32))
    patch = cv2.warpPerspective(image, matrix, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR)
    return patch, (slice(y0, y1), slice(x0, x1))
