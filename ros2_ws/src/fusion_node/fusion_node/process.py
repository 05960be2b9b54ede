"""The end of a ROS process."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import rclpy
from rclpy.node import Node

from fusion_core.errors import FusionError


@contextmanager
def until_shut_down(node: Node) -> Iterator[None]:
    """Pass over what ROS raises once it is shut down.

    A signal shuts ROS down under a running callback, whose next call then fails. That is the end of
    the process, not a fault of it.
    """
    try:
        yield
    except FusionError:
        raise
    except Exception:
        if node.context.ok():
            raise


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
