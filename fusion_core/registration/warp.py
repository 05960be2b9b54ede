"""Camera models, and the cached map from the visible pixel grid into the thermal image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.errors import CalibrationError
from fusion_core.registration.projective import scaling
from fusion_core.registration.rig import Rig, Size
from fusion_core.types import CameraModel, FloatImage, Mask

_OUTSIDE = -1e4  # no pixel's neighbourhood reaches it; fits 16-bit fixed point
_ROUND_TRIP_PX = 0.5
_NO_FRACTION = np.empty(0, dtype=np.uint16)
_NO_SECOND = np.empty(0, dtype=np.float32)  # x and y are in one map
_UNDISTORT = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 50, 1e-10)
Points = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Warp:
    """Resampling of a thermal image on the visible grid.

    Attributes:
        valid: ``HxW`` bool on the visible grid, True where the thermal camera sees the pixel.
    """

    valid: Mask
    _linear: tuple[NDArray[np.int16], NDArray[np.uint16]]
    _nearest: NDArray[np.int16]

    @classmethod
    def build(cls, rig: Rig, visible_size: Size, thermal_size: Size) -> Warp:
        """Compute the map for frames of these sizes ``(width, height)``.

        Raises:
            CalibrationError: The sizes are no scaled form of the rig's, or the cameras' views do
                not overlap.
        """
        points = map_pixels(rig, pixel_grid(visible_size), visible_size, thermal_size)
        warp = cls.through(points.reshape(visible_size[1], visible_size[0], 2), thermal_size)
        if not warp.valid.any():
            raise CalibrationError(
                "rig: the thermal camera sees nothing of the visible image; the homography or "
                "T_thermal_rgb may be inverted (visible to thermal is expected)"
            )
        return warp

    @classmethod
    def through(cls, points: NDArray[np.floating[Any]], thermal_size: Size) -> Warp:
        """Return the map that samples the thermal image at the position ``HxWx2`` per pixel."""
        width, height = thermal_size
        seen = cv2.inRange(points, (-0.5, -0.5), (width - 0.5, height - 0.5)) > 0
        # The outer half pixel belongs to the sensor: clamp it to the border pixel.
        last = np.array([width - 1, height - 1], np.float32)
        points = np.clip(points.astype(np.float32), 0, last)
        if not seen.all():
            points[~seen] = _OUTSIDE
        linear = cv2.convertMaps(points, _NO_SECOND, cv2.CV_16SC2)
        nearest, _ = cv2.convertMaps(points, _NO_SECOND, cv2.CV_16SC2, nninterpolation=True)
        return cls(
            valid=seen,
            _linear=(np.asarray(linear[0], dtype=np.int16), np.asarray(linear[1], dtype=np.uint16)),
            _nearest=np.asarray(nearest, dtype=np.int16),
        )

    def apply(self, luminance: FloatImage) -> FloatImage:
        """Resample linearly; 0 where the thermal camera does not see the pixel."""
        warped = cv2.remap(
            luminance, *self._linear, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
        )
        return np.asarray(warped, dtype=np.float32)

    def apply_nearest(self, temperature: FloatImage) -> FloatImage:
        """Sample the nearest pixel, so that no temperature is interpolated; NaN outside."""
        warped = cv2.remap(
            temperature,
            self._nearest,
            _NO_FRACTION,
            cv2.INTER_NEAREST,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=float("nan"),
        )
        return np.asarray(warped, dtype=np.float32)


def pixel_grid(size: Size) -> Points:
    """Return the ``(x, y)`` of every pixel centre, row by row, as ``Nx2``."""
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    return np.stack((x.ravel(), y.ravel()), axis=1).astype(np.float64)


def map_pixels(rig: Rig, pixels: Points, visible_size: Size, thermal_size: Size) -> Points:
    """Map visible pixels ``Nx2`` to thermal pixels; NaN outside the thermal camera's view.

    With camera models the scene is taken as the plane ``z = reference_depth_m`` of the visible
    camera: the pixel's ray meets it, and the point is projected into the thermal camera.

    Raises:
        CalibrationError: The sizes are no scaled form of the rig's.
    """
    visible_scale = _scale(rig.visible_size, visible_size, "visible")
    thermal_scale = _scale(rig.thermal_size, thermal_size, "thermal")
    if rig.homography is not None:
        matrix = scaling(*thermal_scale) @ rig.homography @ np.linalg.inv(scaling(*visible_scale))
        return _apply_homography(matrix, pixels)
    assert rig.visible is not None
    assert rig.thermal is not None
    assert rig.t_thermal_rgb is not None
    assert rig.reference_depth_m is not None
    rays = undistort(scale_camera(rig.visible, visible_scale), pixels)
    points = np.column_stack((rays, np.ones(len(rays)))) * rig.reference_depth_m
    points = points @ rig.t_thermal_rgb[:3, :3].T + rig.t_thermal_rgb[:3, 3]
    return project(scale_camera(rig.thermal, thermal_scale), points)


def scale_camera(camera: CameraModel, scale: tuple[float, float]) -> CameraModel:
    """Return the intrinsics of the image resized by ``scale``; pixel areas, not centres, scale."""
    matrix = scaling(*scale) @ np.array(camera.k).reshape(3, 3)
    size = round(camera.width * scale[0]), round(camera.height * scale[1])
    return replace(camera, width=size[0], height=size[1], k=tuple(matrix.ravel().tolist()))


def undistort(camera: CameraModel, pixels: Points) -> Points:
    """Return the rays ``(x/z, y/z)`` of pixels ``Nx2``."""
    matrix, d = np.array(camera.k).reshape(3, 3), np.array(camera.d)
    source = pixels.reshape(-1, 1, 2)
    if camera.distortion_model == "equidistant":
        rays = cv2.fisheye.undistortPoints(source, matrix, d, criteria=_UNDISTORT)
    elif hasattr(cv2, "undistortPointsIter"):  # OpenCV 4, where undistortPoints has no criteria
        rays = cv2.undistortPointsIter(source, matrix, d, np.eye(3), np.eye(3), _UNDISTORT)
    else:
        rays = cv2.undistortPoints(source, matrix, d, criteria=_UNDISTORT)
    return np.asarray(rays, dtype=np.float64).reshape(-1, 2)


def project(camera: CameraModel, points: Points) -> Points:
    """Return the pixels of points ``Nx3`` in the camera's optical frame.

    NaN behind the camera, and where a distortion polynomial, used beyond the field of view it was
    fitted on, folds far rays back into the image.
    """
    matrix = np.array(camera.k).reshape(3, 3)
    front = points[:, 2] > 1e-6
    rays = points[:, :2] / np.where(front, points[:, 2], 1.0)[:, None]
    with np.errstate(invalid="ignore", over="ignore"):
        pixels = distort(camera, rays) * np.diag(matrix)[:2] + matrix[:2, 2]
        drift = (undistort(camera, pixels) - rays) * np.diag(matrix)[:2]
        good = front & (np.abs(drift) < _ROUND_TRIP_PX).all(axis=1)
    return np.where(good[:, None], pixels, np.nan)


def distort(camera: CameraModel, rays: Points) -> Points:
    """Return the distorted image coordinates of rays ``(x/z, y/z)``, at focal length 1.

    The models of ``sensor_msgs/CameraInfo``: Brown's radial and tangential polynomial, its rational
    form, and Kannala and Brandt's equidistant fisheye. OpenCV's ``projectPoints`` computes the
    same, but also a Jacobian of 240 bytes per pixel.
    """
    x, y = rays[:, 0], rays[:, 1]
    square = x * x + y * y
    if camera.distortion_model == "equidistant":
        radius = np.sqrt(square)
        angle = np.arctan(radius)
        bent = angle * _polynomial(angle * angle, camera.d)
        return np.asarray(
            rays * np.where(radius > 1e-9, bent / np.maximum(radius, 1e-9), 1)[:, None]
        )
    k1, k2, p1, p2, k3, k4, k5, k6 = (*camera.d, *(0.0,) * (8 - len(camera.d)))
    radial = _polynomial(square, (k1, k2, k3)) / _polynomial(square, (k4, k5, k6))
    tangent_x = 2 * p1 * x * y + p2 * (square + 2 * x * x)
    tangent_y = p1 * (square + 2 * y * y) + 2 * p2 * x * y
    return np.stack((x * radial + tangent_x, y * radial + tangent_y), axis=1)


def _polynomial(value: Points, coefficients: tuple[float, ...]) -> Points:
    """Return ``1 + c1 v + c2 v^2 + ...``."""
    result = np.zeros_like(value)
    for coefficient in reversed(coefficients):
        result = (result + coefficient) * value
    return result + 1


def _apply_homography(matrix: Points, pixels: Points) -> Points:
    """Map ``Nx2`` pixels; NaN on and behind the line at infinity."""
    mapped = pixels @ matrix[:, :2].T + matrix[:, 2]
    # H and -H are the same homography: the side in front is the one most pixels are on.
    side = np.sign(np.median(mapped[:, 2])) or 1.0
    depth = np.where(mapped[:, 2] * side > 1e-9, mapped[:, 2], np.nan)
    return np.asarray(mapped[:, :2] / depth[:, None])


def _scale(calibrated: Size, given: Size, name: str) -> tuple[float, float]:
    """Return the factors from the calibrated to the given size, or raise when the shape differs."""
    sx, sy = given[0] / calibrated[0], given[1] / calibrated[1]
    if abs(sx * calibrated[1] - given[1]) > 1 and abs(sy * calibrated[0] - given[0]) > 1:
        raise CalibrationError(
            f"{name} frames are {given[0]}x{given[1]}, the rig is calibrated for "
            f"{calibrated[0]}x{calibrated[1]} and accepts only that shape scaled; "
            "give the rig file of this resolution"
        )
    return sx, sy
