"""The end of a ROS process."""

from __future__ import annotations

import signal

import rclpy
from rclpy.node import Node


def end_quietly(node: Node | None) -> None:
    """Destroy the node and leave ROS, whatever state a signal left them in.

    A signal may come twice, from the terminal and from launch; the second one must not interrupt
    what is being saved.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if node is not None:
        node.destroy_node()
    rclpy.try_shutdown()
