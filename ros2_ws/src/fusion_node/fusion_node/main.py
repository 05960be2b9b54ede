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

"""Start the node, bring it up, and end it cleanly on Ctrl-C and SIGTERM."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, NoReturn

from fusion_core.runtime.process import end_process
from fusion_node.process import run_process, spin

if TYPE_CHECKING:
    from fusion_node.node import FusionNode


def main(args: list[str] | None = None) -> int:
    """Run the node until a signal stops it; return the exit code."""
    return run_process("fusion", _make, _serve, args)


def program() -> NoReturn:
    """Run the node as a program."""
    end_process(main())


def _make() -> FusionNode:
    # Imported only now: signals are already handled while the network library loads.
    from fusion_node.node import FusionNode

    return FusionNode()


def _serve(node: FusionNode, stop: threading.Event) -> None:
    logging.getLogger("fusion_core").addHandler(_RosLog(node))
    if node.autostart and not stop.is_set():
        node.bring_up()
    spin(node, stop)


class _RosLog(logging.Handler):
    """Pass the core's log records to the node's logger."""

    def __init__(self, node: FusionNode) -> None:
        super().__init__(logging.WARNING)
        self._logger = node.get_logger()

    def emit(self, record: logging.LogRecord) -> None:
        message = self.format(record)
        if record.levelno >= logging.ERROR:
            self._logger.error(message)
        else:
            self._logger.warning(message)
