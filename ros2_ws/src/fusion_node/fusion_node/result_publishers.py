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

"""The result topics: results in, messages out; none is made for a topic without subscribers."""

from __future__ import annotations

from copy import copy

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from fusion_core.transport.result_header import ResultHeader
from fusion_core.types import FusedFrame, ScenePrior
from fusion_node.alarm_messages import alarms_message
from fusion_node.box_marker import MARKER, boxes_message
from fusion_node.conversions import (
    ImageMessage,
    camera_info_message,
    debug_picture,
    header_message,
    jpeg_message,
    recalled_message,
)
from fusion_node.qos_mismatch import MismatchHandler, publisher_events
from fusion_node.vision_messages import (
    CLASSIFICATION,
    DETECTIONS,
    degradation_message,
    detections_message,
)

# Reliable publishers serve reliable and best-effort subscribers alike.
_IMAGES = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
_DETECTIONS = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
# Priors and alarms are rare: a late subscriber that requests it gets the last one.
_RARE = QoSProfile(
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)


class ResultPublishers:
    """The publishers of one configured node.

    Args:
        node: The node that owns the topics.
        on_mismatch: Called with topic and explanation on an incompatible quality of service.
    """

    def __init__(self, node: Node, on_mismatch: MismatchHandler) -> None:
        self._node = node
        self._on_mismatch = on_mismatch
        self._image = self._publisher(Image, "~/image", _IMAGES)
        self._compressed = self._publisher(CompressedImage, "~/image/compressed", _IMAGES)
        self._info = self._publisher(CameraInfo, "~/camera_info", _IMAGES)
        self._debug = self._publisher(Image, "~/debug_image", _IMAGES)
        self._recalled = self._publisher(Image, "~/recalled", _IMAGES)
        self._alarms = self._publisher(DiagnosticArray, "~/alarms", _RARE)
        self._alarms_on: frozenset[tuple[str, int]] | None = None
        self._detections: Publisher | None = None
        self._degradation: Publisher | None = None
        self._boxes: Publisher | None = None
        self._published_prior: ScenePrior | None = None
        if MARKER is not None:
            self._boxes = self._publisher(MARKER, "~/boxes", _DETECTIONS)
        if DETECTIONS is None or CLASSIFICATION is None:
            node.get_logger().warning(
                "vision_msgs is not installed: ~/detections and ~/degradation are not published;"
                " install ros-$ROS_DISTRO-vision-msgs"
            )
        else:
            self._detections = self._publisher(DETECTIONS, "~/detections", _DETECTIONS)
            self._degradation = self._publisher(CLASSIFICATION, "~/degradation", _RARE)
        self._image_message = ImageMessage()
        self._debug_message = ImageMessage()

    def have_subscribers(self) -> bool:
        """Return whether any topic has a subscriber."""
        return any(_has_subscribers(publisher) for publisher in self._all())

    def detections_have_subscribers(self) -> bool:
        """Return whether a topic that shows detections has a subscriber."""
        shown = [self._debug, self._detections, self._boxes, self._alarms]
        return any(publisher is not None and _has_subscribers(publisher) for publisher in shown)

    def publish(self, fused: FusedFrame, result: ResultHeader) -> None:
        """Publish one result on every topic that has a subscriber.

        Args:
            fused: The result.
            result: Its stamp, frame and camera.
        """
        header = header_message(result)
        if _has_subscribers(self._image):
            self._image.publish(self._image_message.fill(fused.image, header))
        if result.camera is not None and _has_subscribers(self._info):
            self._info.publish(camera_info_message(result.camera, header))
        if _has_subscribers(self._recalled):
            self._recalled.publish(recalled_message(fused, header))
        if self._detections is not None and _has_subscribers(self._detections):
            age_ns = 0 if fused.detected_ns is None else fused.stamp_ns - fused.detected_ns
            message = detections_message(fused.detections, header, max(0, age_ns))
            self._detections.publish(message)
        if self._boxes is not None and _has_subscribers(self._boxes):
            self._boxes.publish(boxes_message(fused.detections, header))
        if self._degradation is not None and fused.prior is not self._published_prior:
            self._published_prior = fused.prior
            if fused.prior is not None:
                self._degradation.publish(degradation_message(fused.prior, header))
        on = frozenset((alarm.kind, alarm.track_id) for alarm in fused.alarms)
        if on != self._alarms_on:
            self._alarms_on = on
            self._alarms.publish(alarms_message(fused.alarms, header))
        if _has_subscribers(self._compressed):
            self._compressed.publish(jpeg_message(fused.image, header))
        if _has_subscribers(self._debug):
            self._debug.publish(self._debug_message.fill(debug_picture(fused), header))

    def destroy(self) -> None:
        """Withdraw the topics."""
        for publisher in self._all():
            self._node.destroy_publisher(publisher)

    def _publisher(self, kind: type, topic: str, qos: QoSProfile) -> Publisher:
        return self._node.create_publisher(
            kind,
            topic,
            copy(qos),  # overrides are written into it
            event_callbacks=publisher_events(topic, self._on_mismatch),
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )

    def _all(self) -> list[Publisher]:
        vision = [self._detections, self._degradation, self._boxes]
        images = [self._image, self._compressed, self._debug, self._recalled]
        publishers = [*images, self._info, self._alarms, *vision]
        return [publisher for publisher in publishers if publisher is not None]


def _has_subscribers(publisher: Publisher) -> bool:
    return bool(publisher.get_subscription_count() > 0)
