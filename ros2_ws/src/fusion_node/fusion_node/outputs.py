"""What the node publishes; nothing is made for a topic that nobody subscribes to."""

from __future__ import annotations

from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from fusion_core.types import Detection, FusedFrame, ScenePrior
from fusion_node.conversions import ImageMessage, debug_picture, jpeg_message, stamp_from_ns
from fusion_node.events import MismatchHandler, publisher_events

try:
    from vision_msgs.msg import (
        Classification,
        Detection2D,
        Detection2DArray,
        ObjectHypothesis,
        ObjectHypothesisWithPose,
    )
except ImportError:
    Detection2DArray = None

# Reliable publishers serve reliable and best-effort subscribers alike.
_IMAGES = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
_DETECTIONS = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
# Priors are rare: who comes late and asks for it gets the last one.
_PRIORS = QoSProfile(
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)


class Outputs:
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
        self._detections: Publisher | None = None
        self._degradation: Publisher | None = None
        self._told: ScenePrior | None = None
        if Detection2DArray is None:
            node.get_logger().warning(
                "vision_msgs is not installed: ~/detections and ~/degradation are not published;"
                " install ros-$ROS_DISTRO-vision-msgs"
            )
        else:
            self._detections = self._publisher(Detection2DArray, "~/detections", _DETECTIONS)
            self._degradation = self._publisher(Classification, "~/degradation", _PRIORS)
        self._image_message = ImageMessage()
        self._debug_message = ImageMessage()

    def wanted(self) -> bool:
        """Return whether anybody subscribes to anything."""
        return any(_wanted(publisher) for publisher in self._all())

    def wants_detections(self) -> bool:
        """Return whether anybody subscribes to an output that shows detections."""
        return _wanted(self._debug) or (self._detections is not None and _wanted(self._detections))

    def publish(self, fused: FusedFrame, header: Header, info: CameraInfo | None) -> None:
        """Publish one result on every topic that has a subscriber.

        Args:
            fused: The result.
            header: Stamp and frame of the source image.
            info: Camera info of the fused image's pixel grid, None when unknown.
        """
        if _wanted(self._image):
            self._image.publish(self._image_message.fill(fused.image, header))
        if info is not None and _wanted(self._info):
            info.header = header
            self._info.publish(info)
        if self._detections is not None and _wanted(self._detections):
            self._detections.publish(detections_message(fused.detections, header))
        if self._degradation is not None and fused.prior is not self._told:
            self._told = fused.prior
            if fused.prior is not None:
                self._degradation.publish(degradation_message(fused.prior, header))
        if _wanted(self._compressed):
            self._compressed.publish(jpeg_message(fused.image, header))
        if _wanted(self._debug):
            self._debug.publish(self._debug_message.fill(debug_picture(fused), header))

    def destroy(self) -> None:
        """Withdraw the topics."""
        for publisher in self._all():
            self._node.destroy_publisher(publisher)

    def _publisher(self, kind: type, topic: str, qos: QoSProfile) -> Publisher:
        events = publisher_events(topic, self._on_mismatch)
        return self._node.create_publisher(kind, topic, qos, event_callbacks=events)

    def _all(self) -> list[Publisher]:
        publishers = [self._image, self._compressed, self._info, self._debug]
        if self._detections is not None and self._degradation is not None:
            publishers += [self._detections, self._degradation]
        return publishers


def _wanted(publisher: Publisher) -> bool:
    return publisher.get_subscription_count() > 0


def detections_message(detections: tuple[Detection, ...], header: Header) -> Detection2DArray:
    """Return detections as boxes by centre and size, the class name as ``class_id``."""
    message = Detection2DArray(header=header)
    for detection in detections:
        entry = Detection2D(header=header)
        x, y, width, height = detection.box
        entry.bbox.center.position.x = x + width / 2
        entry.bbox.center.position.y = y + height / 2
        entry.bbox.size_x = float(width)
        entry.bbox.size_y = float(height)
        hypothesis = ObjectHypothesisWithPose()
        hypothesis.hypothesis.class_id = detection.label
        hypothesis.hypothesis.score = float(detection.score)
        entry.results = [hypothesis]
        entry.id = "" if detection.track_id is None else str(detection.track_id)
        message.detections.append(entry)
    return message


def degradation_message(prior: ScenePrior, header: Header) -> Classification:
    """Return a scene prior, likeliest first; kinds of the thermal image as ``thermal/KIND``.

    Args:
        prior: The prior; the message is stamped as the pair that it was computed on.
        header: Header of a source image, for the frame.
    """
    scores = dict(prior.visible)
    scores |= {f"thermal/{kind}": score for kind, score in prior.thermal.items()}
    message = Classification(header=Header(frame_id=header.frame_id))
    message.header.stamp = stamp_from_ns(prior.stamp_ns)
    message.results = [
        ObjectHypothesis(class_id=kind, score=float(score))
        for kind, score in sorted(scores.items(), key=lambda entry: -entry[1])
    ]
    return message


def detections_from_message(message: Detection2DArray) -> tuple[Detection, ...]:
    """Return boxes by centre and size as detections; the inverse of ``detections_message``."""
    return tuple(_detection(entry) for entry in message.detections)


def _detection(entry: Detection2D) -> Detection:
    box, best = entry.bbox, entry.results[0].hypothesis
    left = box.center.position.x - box.size_x / 2
    top = box.center.position.y - box.size_y / 2
    return Detection(
        label=best.class_id,
        score=best.score,
        box=(left, top, box.size_x, box.size_y),
        track_id=int(entry.id) if entry.id else None,
    )
