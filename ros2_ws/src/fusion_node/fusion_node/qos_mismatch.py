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
