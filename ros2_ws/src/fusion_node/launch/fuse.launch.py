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

"""Start the fusion node on two camera topics: `ros2 launch fusion_node fuse.launch.py`."""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import Action, LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import EnvironmentVariable, LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

SHARE = Path(get_package_share_directory("fusion_node"))
# Argument and topic; an empty argument leaves the topic as it is.
TOPICS = (
    ("rgb_topic", "rgb/image_raw"),
    ("rgb_info_topic", "rgb/camera_info"),
    ("thermal_topic", "thermal/image_raw"),
    ("thermal_info_topic", "thermal/camera_info"),
    ("mask_topic", "~/mask"),
)
# Arguments that, when given, win over the parameter file: argument and parameter.
TEXTS = {
    "model": "model",
    "prior": "prior",
    "detector": "detector",
    "device": "device",
    "endpoint": "engine.endpoint",
    "keys": "engine.keys",
    "calibration": "calibration",
    "memory_file": "memory.file",
    "image_transport": "image_transport",
    "frame_id": "frame_id",
    "mask": "mask.source",
    "master": "sync.master",
}
NUMBERS = {
    "max_skew_ms": "sync.max_skew_ms",
    "thermal_offset_ms": "sync.thermal_offset_ms",
}
FLAGS = ("use_sim_time", "autostart")
BANK = "/fusion_memory/{node}.safetensors"


def argument(name: str, default: object, description: str, *choices: str) -> DeclareLaunchArgument:
    """Return one documented argument."""
    return DeclareLaunchArgument(
        name, default_value=default, description=description, choices=list(choices) or None
    )


ARGUMENTS = [
    argument("namespace", "", "Namespace of the node and of its relative topics."),
    argument("node_name", "fusion", "Name of the node, begin of the names of its outputs."),
    argument("rgb_topic", "rgb/image_raw", "Colour images."),
    argument("rgb_info_topic", "", "Colour camera infos. Empty: camera_info beside the images."),
    argument("thermal_topic", "thermal/image_raw", "Thermal images."),
    argument(
        "thermal_info_topic", "", "Thermal camera infos. Empty: camera_info beside the images."
    ),
    argument("mask_topic", "", "Masks. Empty: ~/mask."),
    argument(
        "mask", "", "Where masks come from: none, saliency or detector. Empty: as in the file."
    ),
    argument("master", "", "Stream that sets the rate.", "", "visible", "thermal"),
    argument("max_skew_ms", "", "Largest skew of a pair. Empty: as in the parameter file."),
    argument(
        "thermal_offset_ms",
        "",
        "Added to thermal stamps, or auto. Empty: as in the parameter file.",
    ),
    argument("frame_id", "", "Frame of the outputs. Empty: that of the colour images."),
    argument(
        "image_transport",
        "",
        "How images arrive, all but raw: on <topic>/<transport>. Empty: as in the parameter file.",
        "",
        "raw",
        "compressed",
        "compressedDepth",
        "ffmpeg",
        "foxglove",
    ),
    argument("model", "", "Fusion model. Empty: as in the parameter file."),
    argument("prior", "", "Provider of scene priors. Empty: as in the parameter file."),
    argument(
        "detector",
        "",
        "Object detector: none, default, pair-nano-aerial or FILE.onnx. Empty: as in the file.",
    ),
    argument(
        "device",
        "",
        "Where the network runs. Empty: as in the parameter file.",
        "",
        "auto",
        "cpu",
        "cuda",
    ),
    argument(
        "calibration",
        "",
        "Rig file, or tf: camera infos and /tf_static. Empty: as in the parameter file.",
    ),
    argument(
        "viewer",
        "",
        "Viewer that shows the results: foxglove (serves it on port 8765), rerun (sends to one that"
        " runs), or an address such as foxglove://0.0.0.0:8765. Empty: as in the parameter file.",
    ),
    argument(
        "endpoint",
        "",
        "Server that runs the networks: ipc://FILE or tcp://HOST:PORT of `fusion serve`. Empty: as"
        " in the parameter file.",
    ),
    argument("keys", "", "Folder of the keys for that server. Empty: as in the parameter file."),
    argument(
        "memory_file",
        [
            EnvironmentVariable("ROS_HOME", default_value=[EnvironmentVariable("HOME"), "/.ros"]),
            BANK,
        ],
        "Where the memory bank is kept across restarts; {node}: the node's full name, so that each"
        " has its own. Empty: as in the parameter file.",
    ),
    argument(
        "view",
        "",
        "Serve the operator's page; its address is logged. Empty: as in the parameter file.",
        "",
        "true",
        "false",
    ),
    argument("params_file", str(SHARE / "config" / "params.yaml"), "Parameters of the node."),
    argument("use_sim_time", "false", "Follow /clock.", "true", "false"),
    argument("autostart", "true", "Configure and activate without a manager.", "true", "false"),
    argument(
        "rmw_profile",
        str(SHARE / "config" / "fastdds.xml"),
        "Fast DDS profile; without a large shared-memory segment most images are lost. The camera"
        " drivers need it as well. Empty: as in the environment.",
    ),
    argument(
        "rgb_frame",
        "rgb_optical_frame",
        "Parent of the static transform that is published from the rig file with thermal_frame.",
    ),
    argument("thermal_frame", "", "Child of that transform. Empty: none is published."),
    argument("respawn", "true", "Start the node again when it dies.", "true", "false"),
    argument("log_level", "info", "Smallest level that is logged."),
]


def node(context: LaunchContext) -> list[Action]:
    """Return the node; an empty argument leaves the parameter file's value."""

    def value(name: str) -> str:
        return str(LaunchConfiguration(name).perform(context))

    given: dict[str, object] = {
        parameter: ParameterValue(value(name), value_type=str)
        for name, parameter in TEXTS.items()
        if value(name)
    }
    given |= {
        # An offset may be the word auto.
        parameter: ParameterValue(value(name), value_type=str if value(name) == "auto" else float)
        for name, parameter in NUMBERS.items()
        if value(name)
    }
    if viewer := value("viewer"):
        given["viewer"] = ParameterValue(
            viewer if "://" in viewer else f"{viewer}://", value_type=str
        )
    given |= {name: value(name) == "true" for name in FLAGS}
    if value("view"):
        given["view.serve"] = value("view") == "true"
    remappings = [(default, value(name)) for name, default in TOPICS if value(name)]
    profile = value("rmw_profile")
    return [
        *([SetEnvironmentVariable("FASTRTPS_DEFAULT_PROFILES_FILE", profile)] if profile else []),
        Node(
            package="fusion_node",
            executable="fusion_node",
            name=value("node_name"),
            namespace=value("namespace"),
            parameters=[value("params_file"), given],
            remappings=remappings,
            arguments=["--ros-args", "--log-level", value("log_level")],
            output="screen",
            respawn=value("respawn") == "true",
            respawn_delay=2.0,
            # The memory bank is saved on the way out.
            sigterm_timeout="15",
            sigkill_timeout="15",
        ),
    ]


def transform(context: LaunchContext) -> list[Action]:
    """Return the publisher of the transform between the cameras, where it is asked for."""

    def value(name: str) -> str:
        return str(LaunchConfiguration(name).perform(context))

    calibration = value("calibration")
    if not (calibration and value("thermal_frame")) or calibration.partition(":")[0] == "tf":
        return []
    # Only now: without it a launch file needs no fusion-core.
    from fusion_node.static_transform import transform_arguments

    frames = value("rgb_frame"), value("thermal_frame")
    return [
        Node(
            package="tf2_ros",
            executable="static_transform_publisher",
            namespace=value("namespace"),
            arguments=transform_arguments(value("calibration"), *frames),
        )
    ]


def generate_launch_description() -> LaunchDescription:
    """Return the arguments, and the node with its transport profile."""
    return LaunchDescription(
        [*ARGUMENTS, OpaqueFunction(function=node), OpaqueFunction(function=transform)]
    )
