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
