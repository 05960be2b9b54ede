"""The node under test, in a process of its own: ``python -m fusion_lab.benches.ros.node``.

With the argument ``--without-networks`` the mean of both images takes the network's place.
"""

from __future__ import annotations

import sys
import time
from typing import Final

import cv2
import numpy as np

from fusion_core.config import Config
from fusion_core.engine import PairEngine
from fusion_core.engine.pair_engine import PreparedPair
from fusion_core.engine.picture_io import NetworkPicture
from fusion_core.models.features import Features
from fusion_core.pipeline import builders

WITHOUT_NETWORKS: Final = "--without-networks"


class MeanEngine(PairEngine):
    """The mean of both images, at next to no cost; all that is around a network stays.

    Args:
        config: Settings of the node.
    """

    def __init__(self, config: Config) -> None:
        super().__init__("mean", Features(gives="luma"), None, config.temporal_smoothing)

    @property
    def device(self) -> str:
        """The processor."""
        return "cpu"

    @property
    def kind(self) -> str:
        """One pass of OpenCV."""
        return "opencv"

    def run(self, prepared: PreparedPair) -> tuple[NetworkPicture, float]:
        """Return the mean, and its milliseconds."""
        start = time.perf_counter()
        mean = cv2.addWeighted(
            prepared.thermal, 0.5, prepared.seen, 0.5 / 255, 0.0, dtype=cv2.CV_32F
        )
        made = NetworkPicture(np.asarray(mean, np.float32))
        return made, (time.perf_counter() - start) * 1e3


def main(arguments: list[str]) -> int:
    """Run the node until it is stopped."""
    from fusion_node.main import main as run_node

    if WITHOUT_NETWORKS in arguments:
        setattr(builders, "open_local_engine", MeanEngine)  # noqa: B010 - in this process only
        sys.argv.remove(WITHOUT_NETWORKS)
    return int(run_node(None))


if __name__ == "__main__":
    sys.exit(main(sys.argv))
