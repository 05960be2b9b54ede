"""Start the node, bring it up, and end it cleanly on Ctrl-C and SIGTERM."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import rclpy
from rclpy.executors import ExternalShutdownException

from fusion_node.process import end_quietly, spin

if TYPE_CHECKING:
    from fusion_node.node import FusionNode


def main(args: list[str] | None = None) -> int:
    """Run the node until it is told to stop; return the exit code."""
    node: FusionNode | None = None
    try:
        rclpy.init(args=args)
        # Imported only now, so that Ctrl-C while the network library loads ends quietly, too.
        from fusion_node.node import FusionNode

        node = FusionNode()
        logging.getLogger("fusion_core").addHandler(_RosLog(node))
        if node.autostart:
            node.bring_up()
        spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        end_quietly(node)
    return 0


class _RosLog(logging.Handler):
    """Hand the core's log records to the node's logger."""

    def __init__(self, node: FusionNode) -> None:
        super().__init__(logging.WARNING)
        self._logger = node.get_logger()

    def emit(self, record: logging.LogRecord) -> None:
        message = self.format(record)
        if record.levelno >= logging.ERROR:
            self._logger.error(message)
        else:
            self._logger.warning(message)
