"""Pin-hole cameras on a moving platform.

World axes: x right, y down, z along the street; the ground is y = 0. Optical frames follow ROS:
x right, y down, z forward.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.types import CameraModel

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class CameraPose:
    """Where a camera is.

    Attributes:
        rotation: 3x3 rotation from the optical frame to the world.
        centre: Position in the world in metres.
    """

    rotation: NDArray[np.float64]
    centre: Vector


@dataclass(frozen=True, slots=True)
class Camera:
    """A distortion-free pin-hole camera at one moment.

    Attributes:
        model: Intrinsics.
        pose: Position and attitude.
    """

    model: CameraModel
    pose: CameraPose

    @property
    def focal(self) -> float:
        """Focal length in pixels."""
        return self.model.k[0]

    def rays(self) -> NDArray[np.float64]:
        """Return the 3x3 map from pixels (x, y, 1) to world rays of unit depth."""
        return self.pose.rotation @ np.linalg.inv(intrinsics(self.model))

    def project(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map ``Nx3`` world points to ``Nx3`` rows of (x pixel, y pixel, depth in metres)."""
        local = (points - self.pose.centre) @ self.pose.rotation
        depth = local[:, 2]
        safe = np.where(np.abs(depth) < 1e-6, 1e-6, depth)
        pixels = (local / safe[:, None]) @ intrinsics(self.model).T
        return np.column_stack((pixels[:, :2], depth))


@dataclass(frozen=True, slots=True)
class StereoRig:
    """The two cameras and how they sit to each other.

    Attributes:
        visible: Intrinsics of the visible camera.
        thermal: Intrinsics of the thermal camera.
        thermal_from_visible: 4x4 map of points from the visible to the thermal optical frame.
        reference_depth_m: Depth of the plane on which the homography is exact.
    """

    visible: CameraModel
    thermal: CameraModel
    thermal_from_visible: NDArray[np.float64]
    reference_depth_m: float = 20.0

    def homography(self) -> NDArray[np.float64]:
        """Return the 3x3 map from visible to thermal pixels for the plane at the reference depth.

        ``K_t (R + t n^T / d) K_v^-1`` with n = (0, 0, 1): Hartley and Zisserman, Multiple View
        Geometry, 2nd edition, equation 13.2.
        """
        rotation, shift = self.thermal_from_visible[:3, :3], self.thermal_from_visible[:3, 3]
        plane = np.array([0.0, 0.0, 1.0 / self.reference_depth_m])
        between = rotation + np.outer(shift, plane)
        mapped = intrinsics(self.thermal) @ between @ np.linalg.inv(intrinsics(self.visible))
        return np.asarray(mapped / mapped[2, 2], np.float64)

    def thermal_pose(self, visible: CameraPose) -> CameraPose:
        """Return the thermal camera's pose for a pose of the visible camera."""
        rotation, shift = self.thermal_from_visible[:3, :3], self.thermal_from_visible[:3, 3]
        centre = visible.centre - visible.rotation @ rotation.T @ shift
        return CameraPose(visible.rotation @ rotation.T, centre)


def intrinsics(model: CameraModel) -> NDArray[np.float64]:
    """Return the 3x3 intrinsic matrix of a camera."""
    return np.array(model.k, np.float64).reshape(3, 3)


def pinhole(width: int, height: int, focal: float, shift: tuple[float, float]) -> CameraModel:
    """Return a camera without distortion whose principal point is ``shift`` off the centre."""
    cx, cy = (width - 1) / 2 + shift[0], (height - 1) / 2 + shift[1]
    k = (focal, 0.0, cx, 0.0, focal, cy, 0.0, 0.0, 1.0)
    return CameraModel(width, height, "plumb_bob", (0.0,) * 5, k)


def default_rig() -> StereoRig:
    """Return a 640x480 colour camera and a 320x256 thermal core beside it."""
    transform = np.eye(4)
    transform[:3, :3] = _rotation(0.6, -0.4, 0.3)
    transform[:3, 3] = (-0.06, 0.025, 0.01)
    visible = pinhole(640, 480, 520.0, (1.5, -2.0))
    return StereoRig(visible, pinhole(320, 256, 252.0, (-1.0, 1.5)), transform)


def registered_rig() -> StereoRig:
    """Return two cameras that share one pose and one pixel grid."""
    visible = default_rig().visible
    return StereoRig(visible, visible, np.eye(4))


def platform_pose(seconds: float, seed: int) -> CameraPose:
    """Return the visible camera's pose: a slow patrol forward and back, with a little shake."""
    phase = 0.7 * (seed % 97)
    travel = 4.0 * (1.0 - math.cos(2 * math.pi * seconds / 50.0))
    sway = 0.25 * math.sin(0.45 * seconds + phase)
    bob = 0.03 * math.sin(5.1 * seconds + phase) + 0.02 * math.sin(2.3 * seconds)
    yaw = -3.5 + 1.6 * math.sin(0.37 * seconds + phase) + 0.10 * math.sin(6.3 * seconds)
    pitch = 5.0 + 0.5 * math.sin(0.61 * seconds) + 0.12 * math.sin(7.7 * seconds + phase)
    roll = 0.5 * math.sin(0.53 * seconds + phase) + 0.06 * math.sin(8.9 * seconds)
    return CameraPose(_rotation(yaw, pitch, roll), np.array([1.7 + sway, -2.1 + bob, travel]))


def _rotation(yaw: float, pitch: float, roll: float) -> NDArray[np.float64]:
    """Return optical-to-world rotation; degrees, yaw to the right, pitch down, roll clockwise."""
    turns = ((0.0, yaw, 0.0), (-pitch, 0.0, 0.0), (0.0, 0.0, roll))
    matrices = [cv2.Rodrigues(np.deg2rad(turn))[0] for turn in turns]
    return np.asarray(matrices[0] @ matrices[1] @ matrices[2], np.float64)
