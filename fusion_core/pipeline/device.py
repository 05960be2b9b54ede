"""The device of networks that run in this process."""

from __future__ import annotations

from typing import Final

import torch

from fusion_core.config import Config
from fusion_core.engine import pick_device
from fusion_core.pipeline.threads import fusion_threads

# What the program has when its first pipeline is made.
_THREADS: Final = torch.get_num_threads()


def prepare_device(config: Config) -> torch.device:
    """Return the device of a configuration, and set how many threads networks use.

    Raises:
        UsageError: A GPU is asked for and none can be used.
    """
    device = pick_device(config.device)
    if device.type == "cpu":
        torch.set_num_threads(fusion_threads(config) or _THREADS)
    return device
