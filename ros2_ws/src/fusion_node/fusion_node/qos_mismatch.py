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

"""Incompatible qualities of service reported by the middleware, explained with the remedy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.qos import qos_policy_name_from_kind

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
except ImportError:  # before ROS 2 Iron
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks

MismatchHandler = Callable[[str, str], None]


def subscription_events(topic: str, handler: MismatchHandler) -> SubscriptionEventCallbacks:
    """Return callbacks that report a publisher whose messages this node cannot receive."""

    def on_event(event: object) -> None:
        handler(
            topic,
            f"{topic}: a publisher does not offer the {_policy(event)} that this node requests, so"
            " nothing arrives from it; make it publish volatile, without deadline or lifespan",
        )

    return SubscriptionEventCallbacks(incompatible_qos=on_event)


def publisher_events(topic: str, handler: MismatchHandler) -> PublisherEventCallbacks:
    """Return callbacks that report a subscriber that cannot receive this node's messages."""

    def on_event(event: object) -> None:
        handler(
            topic,
            f"{topic}: a subscriber requests a {_policy(event)} that this node does not offer, so"
            " it receives nothing; make it subscribe volatile, reliable or best effort",
        )

    return PublisherEventCallbacks(incompatible_qos=on_event)


def _policy(event: Any) -> str:  # noqa: ANN401 - rclpy has no types
    return str(qos_policy_name_from_kind(event.last_policy_kind))
