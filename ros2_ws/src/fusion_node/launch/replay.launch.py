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

"""Play a recording into the fusion node: `ros2 launch fusion_node replay.launch.py bag:=DIR`."""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import Action, LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
    SetLaunchConfiguration,
    Shutdown,
)
from launch.event_handlers import OnProcessExit
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

SHARE = Path(get_package_share_directory("fusion_node"))
FUSE = SHARE / "launch" / "fuse.launch.py"
SYNTHETIC = "synthetic://"
SYNTHETIC_RIG = SHARE / "config" / "synthetic_rig.yaml"
# Argument and parameter of the player.
TEXTS = {
    "bag": "bag",
    "visible": "visible",
    "thermal": "thermal",
    "bag_visible_topic": "visible_topic",
    "bag_thermal_topic": "thermal_topic",
}
CAMERA_TOPICS = (
    ("rgb_topic", "rgb/image_raw"),
    ("rgb_info_topic", "rgb/camera_info"),
    ("thermal_topic", "thermal/image_raw"),
    ("thermal_info_topic", "thermal/camera_info"),
)
ARGUMENTS = [
    DeclareLaunchArgument(name, default_value=default, description=description)
    for name, default, description in (
        ("bag", "", "A ROS 1 or ROS 2 bag with both streams, or synthetic://SCENE."),
        ("visible", "", "Instead of a bag: video file or folder of colour images."),
        ("thermal", "", "Instead of a bag: video file or folder of thermal images."),
        ("bag_visible_topic", "", "Colour topic in the bag. Empty: found by type and name."),
        ("bag_thermal_topic", "", "Thermal topic in the bag. Empty: found by type and name."),
        ("speed", "1.0", "Playing speed, 1 is the recording's own."),
        ("loop", "false", "Begin again at the end."),
    )
]


def player(context: LaunchContext) -> list[Action]:
    """Return the player; when it ends, everything does."""

    def value(name: str) -> str:
        return str(LaunchConfiguration(name).perform(context))

    parameters: dict[str, object] = {
        parameter: ParameterValue(value(name), value_type=str) for name, parameter in TEXTS.items()
    }
    parameters |= {"speed": float(value("speed")), "loop": value("loop") == "true"}
    publisher = Node(
        package="fusion_node",
        executable="camera_publisher",
        namespace=value("namespace"),
        parameters=[parameters],
        remappings=[(topic, value(name)) for name, topic in CAMERA_TOPICS if value(name)],
        output="screen",
    )
    ended = OnProcessExit(target_action=publisher, on_exit=[Shutdown(reason="replay ended")])
    return [publisher, RegisterEventHandler(ended)]


def rig(context: LaunchContext) -> list[Action]:
    """Set the rig of a synthetic scene, whose cameras are no others, where none is given."""
    bag = LaunchConfiguration("bag").perform(context)
    given = context.launch_configurations.get("calibration", "")
    if bag.startswith(SYNTHETIC) and not given:
        return [SetLaunchConfiguration("calibration", str(SYNTHETIC_RIG))]
    return []


def generate_launch_description() -> LaunchDescription:
    """Return the node with all its arguments, and the player."""
    fuse = IncludeLaunchDescription(PythonLaunchDescriptionSource(str(FUSE)))
    actions = [OpaqueFunction(function=rig), fuse, OpaqueFunction(function=player)]
    return LaunchDescription([*ARGUMENTS, *actions])
