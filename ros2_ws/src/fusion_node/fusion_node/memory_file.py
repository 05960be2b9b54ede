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

"""The memory bank's file, one of its own for every node."""

from __future__ import annotations

from dataclasses import replace

from fusion_core.config import Config

_NODE = "{node}"


def name_memory_file(config: Config, node: str) -> Config:
    """Return the configuration with ``{node}`` in ``memory.file`` replaced.

    Args:
        config: Configuration of the node.
        node: The node's full name: ``/front/fusion`` becomes ``front.fusion``.
    """
    file = config.memory.file.replace(_NODE, node.strip("/").replace("/", "."))
    return replace(config, memory=replace(config.memory, file=file))
