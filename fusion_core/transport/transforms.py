"""Fixed transforms between named frames, as ROS states them on ``/tf_static``."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fusion_core.errors import CalibrationError

Matrix = NDArray[np.float64]
TF_STATIC: Final = "/tf_static"
TF_MESSAGES: Final = frozenset({"tf2_msgs/msg/TFMessage", "tf/msg/tfMessage"})
_LEAST_NORM: Final = 1e-6
_MOST_FRAMES: Final = 10_000


class TransformTree:
    """Frames and where each lies in its parent.

    Adding and asking may be done from different threads.

    Attributes:
        version: Grows with every change.
    """

    def __init__(self) -> None:
        self.version = 0
        self._poses: dict[str, tuple[str, Matrix]] = {}  # frame -> parent, pose in the parent

    def add(self, parent: str, child: str, pose: Matrix) -> None:
        """Set where a frame lies: the 4x4 pose maps its points into the parent's frame."""
        name = _plain(child)
        if name not in self._poses and len(self._poses) >= _MOST_FRAMES:
            return
        # A new mapping: whoever asks meanwhile goes on with the old one.
        self._poses = {**self._poses, name: (_plain(parent), pose)}
        self.version += 1

    def add_message(self, message: Any) -> None:  # noqa: ANN401 - of rclpy or of rosbags
        """Take all transforms of a ``tf2_msgs/TFMessage``; those that are no pose are passed over.

        In ``TransformStamped`` the header names the parent, and the transform is the child's pose.
        """
        for entry in message.transforms:
            pose = _pose(entry.transform.translation, entry.transform.rotation)
            if pose is not None:
                self.add(entry.header.frame_id, entry.child_frame_id, pose)

    def between(self, source: str, target: str) -> Matrix:
        """Return the 4x4 transform that maps a point of the frame ``source`` into ``target``.

        Raises:
            CalibrationError: The frames are not connected.
        """
        poses = self._poses
        up, down = _way_up(poses, _plain(source)), _way_up(poses, _plain(target))
        common = next((frame for frame in up if frame in down), None)
        if common is None:
            known = ", ".join(sorted({*poses, *(parent for parent, _ in poses.values())}))
            raise CalibrationError(
                f"no transform between {source!r} and {target!r} on {TF_STATIC} (frames there: "
                f"{known[:200] or 'none'}); publish it, for example with "
                "tf2_ros static_transform_publisher, or give a rig file"
            )
        return np.asarray(np.linalg.inv(down[common]) @ up[common], np.float64)


def _way_up(poses: dict[str, tuple[str, Matrix]], frame: str) -> dict[str, Matrix]:
    """Return the frame and all above it, each with the transform of the frame's points into it."""
    way = {frame: np.eye(4)}
    while frame in poses:
        parent, pose = poses[frame]
        if parent in way:  # a circle
            break
        way[parent] = pose @ way[frame]
        frame = parent
    return way


def _pose(translation: Any, rotation: Any) -> Matrix | None:  # noqa: ANN401 - as above
    """Return a pose as 4x4, None where its numbers are none."""
    x, y, z, w = (float(value) for value in (rotation.x, rotation.y, rotation.z, rotation.w))
    place = np.array([translation.x, translation.y, translation.z], np.float64)
    norm = float(np.sqrt(x * x + y * y + z * z + w * w))
    if not (np.isfinite(place).all() and np.isfinite(norm) and norm > _LEAST_NORM):
        return None
    x, y, z, w = x / norm, y / norm, z / norm, w / norm
    pose = np.eye(4)
    pose[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    pose[:3, 3] = place
    return pose


def _plain(frame: str) -> str:
    """Return a frame's name without the slash that ROS 1 puts before it."""
    return frame.lstrip("/")
