"""Quality-of-service mismatches: what the middleware tells, in words that help."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.qos import qos_policy_name_from_kind

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
except ImportError:  # before ROS 2 Iron
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks

MismatchHandler = Callable[[str, str], None]


def subscription_events(topic: str, handler: MismatchHandler) -> SubscriptionEventCallbacks:
    """Return callbacks that report a publisher that this node cannot hear."""

    def on_event(event: object) -> None:
        handler(
            topic,
            f"{topic}: a publisher does not offer the {_policy(event)} that this node asks for, so"
            " nothing arrives from it; make it publish volatile, without deadline or lifespan",
        )

    return SubscriptionEventCallbacks(incompatible_qos=on_event)


def publisher_events(topic: str, handler: MismatchHandler) -> PublisherEventCallbacks:
    """Return callbacks that report a subscriber that cannot hear this node."""

    def on_event(event: object) -> None:
        handler(
            topic,
            f"{topic}: a subscriber asks for a {_policy(event)} that this node does not offer, so"
            " it gets nothing; make it subscribe volatile, reliable or best effort",
        )

    return PublisherEventCallbacks(incompatible_qos=on_event)


def _policy(event: object) -> str:
    return qos_policy_name_from_kind(event.last_policy_kind)
