"""Registration of one pair of images, without a calibration or from a rough one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.errors import EncodingError, UsageError
from fusion_core.registration.confidence import fine_confidence
from fusion_core.registration.dense import refine_dense
from fusion_core.registration.global_search import EXPECTED, search_homography
from fusion_core.registration.projective import normalised, rescaled, scaling
from fusion_core.registration.pyramid import SMALLEST, downscale, work_factor
from fusion_core.registration.rig import Matrix, Size
from fusion_core.registration.scene_pyramid import FullDetailPyramid
from fusion_core.types import FloatImage, Mask, UInt8Image

_THERMAL_TYPES: Final = {"uint8", "uint16", "float32", "float64"}
_LOW, _HIGH = 0.5, 99.5


@dataclass(frozen=True, eq=False)
class Registration:
    """Correspondence of a visible image's pixels with those of a thermal image.

    Attributes:
        displacement: ``HxWx2`` float32 ``(x, y)`` in pixels on the visible grid:
            ``aligned_thermal(p) = thermal(p + displacement(p))``.
        homography: 3x3, ``thermal_pixel ~ homography @ visible_pixel``; None for a dense field.
        confidence: Confidence in the result in [0, 1].
    """

    displacement: FloatImage
    homography: Matrix | None
    confidence: float


def register(
    thermal: NDArray[Any],
    visible: UInt8Image,
    mode: Literal["homography", "dense"] = "homography",
    initial: Matrix | None = None,
) -> Registration:
    """Register a thermal image with a visible one.

    Pixel ``(0, 0)`` is the centre of the top-left pixel.

    Args:
        thermal: ``HxW`` uint8, uint16, float32 or float64; areas of 0 or NaN that touch the
            border are invalid.
        visible: ``HxWx3`` uint8 RGB; the size may differ.
        mode: ``homography``, or ``dense`` for a smooth field on top of one.
        initial: Initial 3x3 map from visible to thermal pixels, such as a calibration's; a
            scaling by the images' sizes when None.

    Raises:
        EncodingError: An array has the wrong type or shape.
        UsageError: Unknown mode, or ``initial`` is no invertible 3x3.
    """
    if mode not in {"homography", "dense"}:
        raise UsageError(f"mode {mode!r}: is not one of homography, dense")
    check_images(thermal, visible)
    if min(*thermal.shape, *visible.shape[:2]) < SMALLEST:
        raise EncodingError(
            f"thermal {thermal.shape}, visible {visible.shape[:2]}: registration needs at least "
            f"{SMALLEST} pixels a side"
        )
    height, width = visible.shape[:2]
    size = (width, height)
    begin = _initial_matrix(initial, size, (thermal.shape[1], thermal.shape[0]))
    factor = work_factor(size)
    scene = _scene_at_working_size(thermal, visible, begin, factor)
    found = search_homography(scene)
    confidence = fine_confidence(scene, found, EXPECTED)
    homography = normalised(begin @ rescaled(found, factor))
    if mode == "homography":
        return Registration(_displacement(homography, size), homography, confidence)
    field = refine_dense(scene, _displacement(found, scene.size))
    field = np.asarray(cv2.resize(field, size, interpolation=cv2.INTER_CUBIC), np.float32)
    return Registration(_composed(begin, field * factor), None, confidence)


def check_images(thermal: NDArray[Any], visible: UInt8Image) -> None:
    """Check the types and shapes of a pair of images.

    Raises:
        EncodingError: ``thermal`` is no ``HxW`` uint8, uint16, float32 or float64, or ``visible``
            is no ``HxWx3`` uint8.
    """
    if thermal.ndim != 2 or str(thermal.dtype) not in _THERMAL_TYPES:
        raise EncodingError(
            f"thermal: {thermal.dtype} array of shape {thermal.shape}; "
            "give HxW uint8, uint16, float32 or float64"
        )
    if visible.dtype != np.uint8 or visible.ndim != 3 or visible.shape[2] != 3:
        raise EncodingError(
            f"visible: {visible.dtype} array of shape {visible.shape}; give HxWx3 uint8 RGB"
        )


def _initial_matrix(initial: Matrix | None, visible: Size, thermal: Size) -> Matrix:
    """Return the initial map from visible to thermal pixels."""
    if initial is None:
        return scaling(thermal[0] / visible[0], thermal[1] / visible[1])
    matrix = np.asarray(initial, np.float64)
    if (
        matrix.shape != (3, 3)
        or not np.isfinite(matrix).all()
        or abs(np.linalg.det(matrix)) < 1e-12
    ):
        raise UsageError(
            f"initial: {matrix.tolist()} is no invertible 3x3; give a map from visible to thermal"
        )
    return matrix


def _scene_at_working_size(
    thermal: NDArray[Any], visible: UInt8Image, begin: Matrix, factor: int
) -> FullDetailPyramid:
    """Return both images on the visible grid at working size."""
    size = (visible.shape[1], visible.shape[0])
    seen = _valid_mask(thermal)
    gray = _gray(thermal, seen)
    # Low-pass before a strong reduction, or sampling would alias.
    shrink = np.sqrt(abs(np.linalg.det(begin[:2, :2])))
    if shrink > 1.5:
        gray = np.asarray(cv2.GaussianBlur(gray, (0, 0), 0.4 * shrink), np.float32)
    flags = cv2.WARP_INVERSE_MAP
    there = cv2.warpPerspective(
        seen.astype(np.float32), begin, size, flags=flags | cv2.INTER_LINEAR
    )
    warped = cv2.warpPerspective(gray, begin, size, flags=flags | cv2.INTER_LINEAR)
    luma = np.asarray(cv2.cvtColor(visible, cv2.COLOR_RGB2GRAY), np.float32)
    share = np.asarray(there, np.float32)
    gray = np.asarray(warped, np.float32)
    return FullDetailPyramid(
        downscale(luma, factor), downscale(gray, factor), downscale(share, factor) > 0.99
    )


def _valid_mask(thermal: NDArray[Any]) -> Mask:
    """Return False in areas of 0 or NaN that touch the border, as a warp leaves them."""
    empty = (~np.isfinite(thermal) | (thermal == 0)).astype(np.uint8)
    _, labels = cv2.connectedComponents(empty, connectivity=4)
    border = np.concatenate((labels[0], labels[-1], labels[:, 0], labels[:, -1]))
    return np.asarray(~np.isin(labels, border[border > 0]))


def _gray(thermal: NDArray[Any], seen: Mask) -> FloatImage:
    """Return 8-bit images as they are, others stretched to 0 to 255."""
    values = np.nan_to_num(thermal.astype(np.float32))
    if thermal.dtype == np.uint8 or not seen.any():
        return values
    low, high = np.percentile(values[seen], (_LOW, _HIGH))
    return np.asarray(np.clip((values - low) / max(high - low, 1e-6), 0, 1) * 255, np.float32)


def _displacement(matrix: Matrix, size: Size) -> FloatImage:
    """Return the displacement of each pixel of an image by a homography."""
    x, y = np.meshgrid(np.arange(size[0], dtype=np.float64), np.arange(size[1]))
    pixels = np.stack((x, y, np.ones_like(x)), axis=2)
    moved = pixels @ matrix.T
    return np.asarray(moved[..., :2] / moved[..., 2:] - pixels[..., :2], np.float32)


def _composed(matrix: Matrix, field: FloatImage) -> FloatImage:
    """Return the displacement by ``field`` and then ``matrix``."""
    x, y = np.meshgrid(np.arange(field.shape[1]), np.arange(field.shape[0]))
    pixels = np.stack((x, y), axis=2).astype(np.float64)
    places = np.concatenate((pixels + field, np.ones_like(pixels[..., :1])), axis=2) @ matrix.T
    return np.asarray(places[..., :2] / places[..., 2:] - pixels, np.float32)
