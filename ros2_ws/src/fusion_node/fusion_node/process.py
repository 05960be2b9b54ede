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

"""Run one node in a process of its own until its work is done or a signal stops it.

Signals only set an event here, which the work looks at. Python's KeyboardInterrupt and rclpy's own
handlers act wherever the process happens to be: the first inside the conversion of a message, which
leaves its memory corrupt, the second under a running callback.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import TypeVar

import rclpy
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from fusion_core.errors import FusionError
from fusion_core.runtime.process import tune_process

NodeT = TypeVar("NodeT", bound=Node)
# Longest time until a signal is noticed while nothing happens.
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SIGNAL_DELAY_S = 0.2


def run_process(
    name: str,
    make: Callable[[], NodeT],
    work: Callable[[NodeT, threading.Event], None],
    args: list[str] | None,
) -> int:
    """Make a node, run its work, and destroy it in order; return the exit code.

    Args:
        name: Name to report errors by.
        make: Makes the node.
        work: Returns when it is done, or soon after SIGINT or SIGTERM have set the event.
        args: Command line with ROS arguments; None takes the process's own.
    """
    tune_process()
    stop = threading.Event()
    for number in _SIGNALS:
        signal.signal(number, lambda _number, _frame: stop.set())
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    node: NodeT | None = None
    try:
        node = make()
        work(node, stop)
    except FusionError as error:
        rclpy.logging.get_logger(name).error(str(error))
        return error.exit_code
    finally:
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()
        # Python gives up its handlers as it ends: a late signal would make a clean end a death.
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
    return 0


def make_executor() -> Executor:
    """Return what runs callbacks one at a time, by events where this rclpy can.

    The other one asks every entity of the node again at each message: three times the work.
    """
    try:
        from rclpy.experimental import EventsExecutor
    except ImportError:  # Humble has none
        return SingleThreadedExecutor()
    return EventsExecutor()


def spin(node: Node, stop: threading.Event) -> None:
    """Run the node's callbacks, one at a time, until the event is set."""
    executor = make_executor()
    executor.add_node(node)
    while not stop.is_set():
        executor.spin_once(timeout_sec=_SIGNAL_DELAY_S)
    executor.remove_node(node)
    executor.shutdown()
