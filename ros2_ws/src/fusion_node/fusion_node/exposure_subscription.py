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


"""The topic beside a camera's images that states their exposure times."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription

from fusion_core.transport.exposure import EXPOSURE_TYPES, exposed_at_ns, message_exposure_s

_LOOK_S: Final = 0.5
_DEPTH: Final = 10


class ExposureSubscription:
    """Subscribes to the exposure times of a camera as soon as somebody publishes them.

    Drivers state them in types of their own, so the type is taken from the publisher.

    Args:
        node: The node that subscribes.
        topic: Full name of the topic.
        on_exposure: Called with the stamp of an image and its exposure time in seconds, None where
            the message states none.
    """

    def __init__(
        self, node: Node, topic: str, on_exposure: Callable[[int, float | None], None]
    ) -> None:
        self._node = node
        self._topic = topic
        self._on_exposure = on_exposure
        self._subscription: Subscription | None = None
        self._timer = node.create_timer(_LOOK_S, self._look)

    def destroy(self) -> None:
        """End the subscription."""
        self._node.destroy_timer(self._timer)
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None

    def _look(self) -> None:
        """Subscribe where a publisher of a known type is there."""
        found = self._node.get_publishers_info_by_topic(self._topic)
        kind = next((info.topic_type for info in found if info.topic_type in EXPOSURE_TYPES), None)
        if kind is None:
            return
        self._timer.cancel()
        package, _, name = kind.split("/")
        try:
            message_class: type = getattr(import_module(f"{package}.msg"), name)
        except (ImportError, AttributeError):
            self._node.get_logger().warning(
                f"{self._topic}: exposure times are not read, as the messages of {package} are "
                f"not installed: sudo apt-get install ros-$ROS_DISTRO-{package.replace('_', '-')}"
            )
            return

        def receive(message: Any) -> None:  # noqa: ANN401 - any of the types
            self._on_exposure(exposed_at_ns(message), message_exposure_s(message, kind))

        self._subscription = self._node.create_subscription(
            message_class,
            self._topic,
            receive,
            QoSProfile(depth=_DEPTH, reliability=ReliabilityPolicy.BEST_EFFORT),
        )
        self._node.get_logger().info(f"exposure times come from {self._topic}")
