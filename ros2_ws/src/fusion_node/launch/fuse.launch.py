"""Start the fusion node on two camera topics: `ros2 launch fusion_node fuse.launch.py`."""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import Action, LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import EnvironmentVariable, LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

SHARE = Path(get_package_share_directory("fusion_node"))
TOPICS = (
    ("rgb_topic", "rgb/image_raw"),
    ("rgb_info_topic", "rgb/camera_info"),
    ("thermal_topic", "thermal/image_raw"),
    ("thermal_info_topic", "thermal/camera_info"),
)
# Arguments that, when given, win over the parameter file: argument and parameter.
TEXTS = {
    "model": "model",
    "prior": "prior",
    "detector": "detector",
    "device": "device",
    "calibration": "calibration",
    "memory_file": "memory.file",
    "image_transport": "image_transport",
}
FLAGS = ("use_sim_time", "autostart")


def argument(name: str, default: object, description: str, *choices: str) -> DeclareLaunchArgument:
    """Return one documented argument."""
    return DeclareLaunchArgument(
        name, default_value=default, description=description, choices=list(choices) or None
    )


ARGUMENTS = [
    argument("namespace", "", "Namespace of the node and of its relative topics."),
    argument("rgb_topic", "rgb/image_raw", "Colour images."),
    argument("rgb_info_topic", "rgb/camera_info", "Intrinsics of the colour camera."),
    argument("thermal_topic", "thermal/image_raw", "Thermal images."),
    argument("thermal_info_topic", "thermal/camera_info", "Intrinsics of the thermal camera."),
    argument(
        "image_transport",
        "",
        "How images arrive, compressed: on <topic>/compressed. Empty: as in the parameter file.",
        "",
        "raw",
        "compressed",
    ),
    argument("model", "", "Fusion model. Empty: as in the parameter file."),
    argument("prior", "", "Provider of scene priors. Empty: as in the parameter file."),
    argument(
        "detector",
        "",
        "Object detector: none, default or FILE.onnx. Empty: as in the parameter file.",
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
    argument("calibration", "", "Rig file. Empty: as in the parameter file."),
    argument(
        "memory_file",
        [
            EnvironmentVariable("ROS_HOME", default_value=[EnvironmentVariable("HOME"), "/.ros"]),
            "/fusion_memory.safetensors",
        ],
        "Where the memory bank is kept across restarts. Empty: as in the parameter file.",
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
    given |= {name: value(name) == "true" for name in FLAGS}
    transport = value("image_transport")
    remappings = [(default, value(name)) for name, default in TOPICS]
    if transport not in {"", "raw"}:
        remappings += [
            (f"{default}/{transport}", f"{value(name)}/{transport}")
            for name, default in TOPICS
            if default.endswith("image_raw")
        ]
    profile = value("rmw_profile")
    return [
        *([SetEnvironmentVariable("FASTRTPS_DEFAULT_PROFILES_FILE", profile)] if profile else []),
        Node(
            package="fusion_node",
            executable="fusion_node",
            name="fusion",
            namespace=value("namespace"),
            parameters=[value("params_file"), given],
            remappings=remappings,
            arguments=["--ros-args", "--log-level", value("log_level")],
            output="screen",
            # The memory bank is saved on the way out.
            sigterm_timeout="15",
            sigkill_timeout="15",
        ),
    ]


def generate_launch_description() -> LaunchDescription:
    """Return the arguments, and the node with its transport profile."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=node)])
