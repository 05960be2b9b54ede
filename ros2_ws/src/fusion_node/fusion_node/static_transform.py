# Copyright 2026 The fusion-core maintainers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""Fixed transforms between the cameras: from a rig to tf2's publisher, and those that come back."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from fusion_core.errors import CalibrationError, ConfigError
from fusion_core.registration import Rig

# As tf2_ros publishes them: once, kept for whoever comes later.
STATIC_TRANSFORMS = QoSProfile(
    depth=100,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)


def transform_message_class() -> type:
    """Return the class of the messages on `/tf_static`.

    Raises:
        ConfigError: tf2_msgs is not installed.
    """
    try:
        from tf2_msgs.msg import TFMessage
    except ImportError:
        raise ConfigError(
            "calibration = 'tf': the messages of tf2_msgs are not installed: "
            "sudo apt-get install ros-$ROS_DISTRO-tf2-msgs, or give a rig file"
        ) from None
    kind: type = TFMessage
    return kind


def transform_arguments(rig_file: str | Path, rgb_frame: str, thermal_frame: str) -> list[str]:
    """Return arguments of ``tf2_ros static_transform_publisher``: the colour frame is the parent.

    Args:
        rig_file: Rig with camera models.
        rgb_frame: Optical frame of the colour camera.
        thermal_frame: Optical frame of the thermal camera.

    Raises:
        CalibrationError: The file is missing, malformed, or joins the images by a homography,
            which holds no transform.
    """
    rig = Rig.load(rig_file)
    if rig.t_thermal_rgb is None:
        raise CalibrationError(
            f"{rig_file}: a homography holds no transform; calibrate with 'fusion calibrate', or "
            "leave thermal_frame empty"
        )
    # The file maps points of the colour frame; tf states where the child lies in its parent.
    pose = np.linalg.inv(rig.t_thermal_rgb)
    turn = cv2.Rodrigues(pose[:3, :3])[0].ravel()
    angle = float(np.linalg.norm(turn))
    axis = turn / angle if angle else np.zeros(3)
    quaternion = [*(axis * np.sin(angle / 2)), np.cos(angle / 2)]
    values = dict(zip(("x", "y", "z"), pose[:3, 3], strict=True))
    values |= dict(zip(("qx", "qy", "qz", "qw"), quaternion, strict=True))
    arguments = [text for name, value in values.items() for text in (f"--{name}", f"{value:.9f}")]
    return [*arguments, "--frame-id", rgb_frame, "--child-frame-id", thermal_frame]
