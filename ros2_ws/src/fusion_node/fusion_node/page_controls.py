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

"""What the operator's page steers in a node: its pipeline, and settings as parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rclpy.node import Node
from rclpy.parameter import Parameter

from fusion_core.errors import ConfigError
from fusion_core.pipeline import Pipeline, PipelineStatus
from fusion_core.runtime.live_setting import LiveSetting, Scalar
from fusion_core.types import UInt8Image


class PageControls:
    """The controls of a page; a setting changes as if somebody had set the parameter.

    Args:
        node: The node, whose parameters are those of the pipeline.
        pipeline: What it runs.
    """

    def __init__(self, node: Node, pipeline: Pipeline) -> None:
        self._node = node
        self.status: Callable[[], PipelineStatus] = pipeline.status
        self.live_settings: Callable[[], tuple[LiveSetting, ...]] = pipeline.live_settings
        self.submit_mask: Callable[[UInt8Image | None], None] = pipeline.submit_mask

    def submit_text(self, text: str) -> None:
        """Set the parameter; see :meth:`change`."""
        self.change({"text": text})

    def change(self, changes: Mapping[str, Scalar]) -> None:
        """Set parameters.

        Raises:
            ConfigError: The node refuses one.
        """
        parameters = [Parameter(name, value=value) for name, value in changes.items()]
        for result in self._node.set_parameters(parameters):
            if not result.successful:
                raise ConfigError(result.reason)
