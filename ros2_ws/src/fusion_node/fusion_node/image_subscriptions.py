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

"""The camera topics: messages in, frames out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final, Protocol

from geometry_msgs.msg import PointStamped
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, Image, RegionOfInterest
from std_msgs.msg import String

from fusion_core.errors import ConfigError, EncodingError
from fusion_core.transport.camera_info import camera_from_info
from fusion_core.transport.exposure import ExposureMatcher
from fusion_core.transport.image_messages import (
    COMPRESSED,
    IMAGE,
    ImageMessageDecoder,
    drop_cause,
)
from fusion_core.transport.message_definitions import COMPRESSED_VIDEO, FFMPEG_PACKET
from fusion_core.types import Box, CameraModel, Frame, Modality, UInt8Image
from fusion_node.conversions import fitting_frame, mask_from_message
from fusion_node.exposure_subscription import ExposureSubscription
from fusion_node.qos_mismatch import MismatchHandler, subscription_events
from fusion_node.topic_names import camera_topics

# Of a video every packet counts: those after a lost one cannot be decoded.
_VIDEO_DEPTH: Final = 60
_PROMPT_DEPTH: Final = 10
TRANSPORTS: Final[Mapping[str, str]] = {
    "raw": IMAGE,
    "compressed": COMPRESSED,
    "compressedDepth": COMPRESSED,
    "ffmpeg": FFMPEG_PACKET,
    "foxglove": COMPRESSED_VIDEO,
}
"""Image transport -> type of its messages, which come on ``<topic>/<transport>``."""
_TOPICS: Mapping[Modality, str] = {"visible": "rgb", "thermal": "thermal"}
# Each reason is logged once; a stream of ever new reasons must not fill log and memory.
_MOST_WARNINGS = 50
_LONGEST_REASON = 300


class FrameReceiver(Protocol):
    """Where frames and masks go: the pipeline."""

    def submit(self, frame: Frame) -> None:
        """Take one frame."""

    def count_invalid(self, modality: Modality, cause: str) -> None:
        """Count a message that could not become a frame."""

    def submit_mask(self, mask: UInt8Image) -> None:
        """Take one mask."""

    def point_at(self, place: tuple[float, float] | Box | None) -> None:
        """Mark the object at a point or in a box; None takes all marks back."""

    def count_invalid_mask(self, reason: str) -> None:
        """Count a message that could not become a mask."""


class ImageSubscriptions:
    """The subscriptions of one active node.

    Args:
        node: The node that subscribes.
        transport: One of ``TRANSPORTS``.
        receiver: Gets the frames and masks.
        needed: Called before each image is decoded; an image for which it returns False is left
            out.
        on_mismatch: Called with topic and explanation on an incompatible quality of service.
        bracketed: The visible camera alternates its exposure; the times are then looked for.

    Raises:
        ConfigError: The messages of the transport are not installed.
    """

    def __init__(
        self,
        node: Node,
        transport: str,
        receiver: FrameReceiver,
        needed: Callable[[], bool],
        on_mismatch: MismatchHandler,
        *,
        bracketed: bool = False,
    ) -> None:
        self._node = node
        self._receiver = receiver
        self._needed = needed
        self._on_mismatch = on_mismatch
        self._infos: dict[Modality, CameraInfo] = {}
        self._cameras: dict[Modality, CameraModel | None] = {}
        self._sizes: dict[Modality, tuple[int, int]] = {}
        self._warned: set[str] = set()
        self.received: Counter[str] = Counter(dict.fromkeys(_TOPICS, 0))
        self._subscriptions: list[Subscription] = []
        self._decoders = {modality: ImageMessageDecoder(modality) for modality in _TOPICS}
        self._kind = TRANSPORTS[transport]
        kind = message_class(transport)
        for modality, base in _TOPICS.items():
            topics = camera_topics(node, base, transport)
            self._subscribe_stream(CameraInfo, topics.info, self._on_info, modality)
            self._subscribe_stream(kind, topics.image, self._on_image, modality)
        self._subscribe(Image, "~/mask", self._on_mask)
        self._subscribe(PointStamped, "~/prompt_point", self._on_prompt_point)
        self._subscribe(RegionOfInterest, "~/prompt_box", self._on_prompt_box)
        self._matcher = ExposureMatcher()
        self._exposures: ExposureSubscription | None = None
        if bracketed:
            metadata = camera_topics(node, _TOPICS["visible"]).metadata
            self._exposures = ExposureSubscription(node, metadata, self._on_exposure)
        self._subscribe(String, "~/text", self._on_text, reliable=True)

    @property
    def topics(self) -> list[str]:
        """Resolved names of the topics subscribed to."""
        return [subscription.topic_name for subscription in self._subscriptions]

    def camera_states(self) -> dict[str, str]:
        """Return what is known of each camera's intrinsics, as one line each."""
        return {modality: self._camera_state(modality) for modality in _TOPICS}

    def stamp_problems(self) -> list[str]:
        """Return what is wrong with the stamps of the streams' headers, one line each."""
        problems = (decoder.stamps.problem for decoder in self._decoders.values())
        return [problem for problem in problems if problem]

    def destroy(self) -> None:
        """End the subscriptions."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions.clear()
        if self._exposures is not None:
            self._exposures.destroy()

    def _subscribe_stream(
        self,
        kind: type,
        topic: str,
        callback: Callable[[Modality, Any], None],
        modality: Modality,
    ) -> None:
        self._subscribe(kind, topic, lambda message: callback(modality, message))

    def _subscribe(
        self, kind: type, topic: str, callback: Callable[[Any], None], *, reliable: bool = False
    ) -> None:
        video = self._kind in {FFMPEG_PACKET, COMPRESSED_VIDEO}
        depth = _VIDEO_DEPTH if video and kind not in {Image, CameraInfo} else 1
        depth = _PROMPT_DEPTH if kind in {PointStamped, RegionOfInterest} else depth
        self._subscriptions.append(
            self._node.create_subscription(
                kind,
                topic,
                callback,
                # Only the newest image matters; a best-effort reader matches every driver.
                QoSProfile(
                    depth=depth,
                    reliability=ReliabilityPolicy.RELIABLE
                    if reliable
                    else ReliabilityPolicy.BEST_EFFORT,
                ),
                event_callbacks=subscription_events(topic, self._on_mismatch),
                qos_overriding_options=QoSOverridingOptions.with_default_policies(),
            )
        )

    def _on_info(self, modality: Modality, info: CameraInfo) -> None:
        if info != self._infos.get(modality):
            self._cameras[modality] = camera_from_info(info)
        self._infos[modality] = info

    def _on_image(self, modality: Modality, message: Any) -> None:  # noqa: ANN401 - any transport
        self.received[modality] += 1
        decoder = self._decoders[modality]
        if not self._needed():
            decoder.reset()
            return
        received_ns = self._node.get_clock().now().nanoseconds
        try:
            frames = decoder.decode(message, self._kind, received_ns)
        except EncodingError as error:
            self._count_invalid(modality, drop_cause(error), str(error))
        except Exception as error:  # noqa: BLE001 - no message may end the node
            self._count_invalid(modality, "corrupt", f"{type(error).__name__}: {error}")
        else:
            for frame in frames:
                self._sizes[modality] = (frame.image.shape[1], frame.image.shape[0])
                fitting = fitting_frame(frame, self._cameras.get(modality))
                exposed = modality == "visible" and self._exposures is not None
                self._submit(self._matcher.add_frame(fitting) if exposed else [fitting])

    def _on_exposure(self, stamp_ns: int, exposure_s: float | None) -> None:
        self._submit(self._matcher.add_exposure(stamp_ns, exposure_s))

    def _submit(self, frames: list[Frame]) -> None:
        for frame in frames:
            self._receiver.submit(frame)

    def _on_mask(self, message: Image) -> None:
        try:
            self._receiver.submit_mask(mask_from_message(message))
        except EncodingError as error:
            self._receiver.count_invalid_mask(str(error)[:_LONGEST_REASON])
        except Exception as error:  # noqa: BLE001 - no message may end the node
            reason = f"{type(error).__name__}: {error}"
            self._receiver.count_invalid_mask(reason[:_LONGEST_REASON])

    def _on_prompt_point(self, message: PointStamped) -> None:
        self._receiver.point_at((message.point.x, message.point.y))

    def _on_prompt_box(self, message: RegionOfInterest) -> None:
        empty = not (message.width and message.height)
        box = (message.x_offset, message.y_offset, message.width, message.height)
        self._receiver.point_at(None if empty else box)

    def _on_text(self, message: String) -> None:
        """Set the parameter: what is in force is read there, whoever said it."""
        said = Parameter("text", value=message.data.strip())
        for result in self._node.set_parameters([said]):
            if not result.successful:
                reason = result.reason[:_LONGEST_REASON]
                self._node.get_logger().warning(f"text not used: {reason}")

    def _count_invalid(self, modality: Modality, cause: str, reason: str) -> None:
        self._receiver.count_invalid(modality, cause)
        reason = reason[:_LONGEST_REASON]
        if reason not in self._warned and len(self._warned) < _MOST_WARNINGS:
            self._warned.add(reason)
            self._node.get_logger().warning(f"{modality} image dropped: {reason}")

    def _camera_state(self, modality: Modality) -> str:
        info, size = self._infos.get(modality), self._sizes.get(modality)
        if info is None:
            return "no camera info"
        stated = f"{info.width}x{info.height}"
        if size is not None and size != (info.width, info.height):
            return f"camera info for {stated} does not fit {modality} images of {size[0]}x{size[1]}"
        return stated if self._cameras[modality] else f"{stated}, not calibrated"


def message_class(transport: object) -> type:
    """Return the class of a transport's messages.

    Raises:
        ConfigError: It is unknown, or its messages are not installed.
    """
    if not isinstance(transport, str) or transport not in TRANSPORTS:
        raise ConfigError(f"image_transport = {transport!r}: use one of {', '.join(TRANSPORTS)}")
    package, _, name = TRANSPORTS[transport].split("/")
    try:
        found: type = getattr(import_module(f"{package}.msg"), name)
    except (ImportError, AttributeError):
        raise ConfigError(
            f"image_transport = {transport!r}: the messages of {package} are not installed: "
            f"sudo apt-get install ros-$ROS_DISTRO-{package.replace('_', '-')}"
        ) from None
    return found
