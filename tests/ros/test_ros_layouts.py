"""What viewers are told to show is there, and overrides of the quality of service are obeyed."""

import json
from pathlib import Path

import yaml
from rclpy.qos import QoSProfile, ReliabilityPolicy
from robot import wait_for

CONFIG = Path(__file__).resolve().parents[2] / "ros2_ws" / "src" / "fusion_node" / "config"
IMAGES = {"sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"}
# Foxglove's names of its panels and of the settings that the layout uses, from its source.
PANELS = {"Image": {"imageMode"}, "DiagnosticSummary": {"topicToRender", "minLevel", "pinnedIds"}}
PANELS["RosOut"] = {"topicToRender", "minLogLevel", "searchTerms"}


def foxglove_topics():
    """Yield each topic of the layout with the types that its panel shows."""
    layout = json.loads((CONFIG / "foxglove.json").read_text())
    for panel, settings in layout["configById"].items():
        kind = panel.partition("!")[0]
        assert set(settings) <= PANELS[kind]
        if kind == "Image":
            mode = settings["imageMode"]
            assert set(mode) <= {"imageTopic", "annotations"}
            yield mode["imageTopic"], IMAGES
            for topic in mode.get("annotations", ()):
                yield topic, {"visualization_msgs/msg/ImageMarker"}
        elif kind == "DiagnosticSummary":
            yield settings["topicToRender"], {"diagnostic_msgs/msg/DiagnosticArray"}


def rviz_topics():
    manager = yaml.safe_load((CONFIG / "fusion.rviz").read_text())["Visualization Manager"]
    for display in manager["Displays"]:
        if display["Class"] == "rviz_default_plugins/Image":
            assert set(display["Topic"]) <= {
                *("Depth", "Durability Policy", "History Policy", "Reliability Policy", "Value")
            }
            yield display["Topic"]["Value"], {"sensor_msgs/msg/Image"}


def test_layouts_name_topics_of_the_node_and_overrides_of_their_quality_are_obeyed(start, robot):
    """One node for both: the overrides are none that a viewer minds."""
    begin = f"qos_overrides.{robot.next_namespace()}"
    node = start(
        detector="none",
        prior="none",
        **{
            f"{begin}/rgb/image_raw.subscription.reliability": "reliable",
            f"{begin}/fusion/image.publisher.reliability": "best_effort",
        },
    )
    node.connect(QoSProfile(depth=3, reliability=ReliabilityPolicy.BEST_EFFORT))
    for topic, kinds in [*foxglove_topics(), *rviz_topics()]:
        full = topic if topic == "/diagnostics" else node.namespace + topic

        def types(full=full):
            return dict(robot.node.get_topic_names_and_types()).get(full)

        assert set(wait_for(types, f"topic {full}")) <= kinds
    (reader,) = robot.node.get_subscriptions_info_by_topic(node.topic("rgb/image_raw"))
    (other,) = robot.node.get_subscriptions_info_by_topic(node.topic("thermal/image_raw"))
    (writer,) = robot.node.get_publishers_info_by_topic(node.topic("fusion/image"))
    assert reader.qos_profile.reliability == ReliabilityPolicy.RELIABLE
    assert other.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
    assert writer.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
