"""The life of a ROS process: spinning, and ending cleanly."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node

from fusion_core.errors import FusionError

NodeT = TypeVar("NodeT", bound=Node)


def run_tool(
    name: str, make: Callable[[], NodeT], work: Callable[[NodeT], None], args: list[str] | None
) -> int:
    """Make a node and let it work until it is done or told to stop; return the exit code."""
    node: NodeT | None = None
    try:
        rclpy.init(args=args)
        node = make()
        with until_shut_down(node):
            work(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except FusionError as error:
        rclpy.logging.get_logger(name).error(str(error))
        return error.exit_code
    finally:
        end_quietly(node)
    return 0


def spin(node: Node) -> None:
    """Serve the node's callbacks, one at a time, until it is told to stop."""
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    with until_shut_down(node):
        executor.spin()


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
