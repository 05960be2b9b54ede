"""How many CPU threads each network gets."""

from __future__ import annotations

import os

from fusion_core.config import Config
from fusion_core.detection.detector import SHIPPED


def usable_threads(config: Config) -> int:
    """Return the threads of all networks together: as set, or one per core that may be used.

    ``OMP_NUM_THREADS`` limits them as well, as it does for every program that uses OpenMP.
    """
    if config.threads:
        return config.threads
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    limit = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    return min(cores or 1, int(limit)) if limit.isdecimal() and int(limit) else cores or 1


def detector_threads(config: Config) -> int:
    """Return the threads of a detector that works beside the fusion: half of all, at least one."""
    return max(1, usable_threads(config) // 2)


def fusion_threads(config: Config) -> int | None:
    """Return the threads of the fusion network, None where they are left as they are.

    The detectors that ship look at the cameras' pictures and work beside the fusion: both together
    get no more threads than there are cores.
    """
    if config.detector in SHIPPED:
        return max(1, usable_threads(config) - detector_threads(config))
    return config.threads or None
