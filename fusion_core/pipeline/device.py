"""The device of networks that run in this process."""

from __future__ import annotations

import torch

from fusion_core.config import Config
from fusion_core.engine import pick_device


def prepare_device(config: Config) -> torch.device:
    """Return the device of a configuration, and set how many threads networks use.

    Raises:
        UsageError: A GPU is asked for and none can be used.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    return pick_device(config.device)
