"""The node under test, in a process of its own: ``python -m fusion_lab.benches.ros.node``.

With the argument ``--without-networks`` the mean of both images takes the network's place.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Final

from torch import Tensor

from fusion_core.models import Cues, Features, Fuser, LumaFuser, LumaOutput
from fusion_core.pipeline import builders, local_engine

WITHOUT_NETWORKS: Final = "--without-networks"


@dataclass(frozen=True)
class MeanFuserConfig:
    """A mean has no settings."""


class MeanFuser(LumaFuser):
    """The mean of both images, at next to no cost."""

    features = Features(gives="luma")

    def __init__(self) -> None:
        super().__init__("mean", MeanFuserConfig())

    def fuse_luma(self, thermal: Tensor, visible: Tensor, slots: Tensor, cues: Cues) -> LumaOutput:  # noqa: ARG002
        """Return the mean."""
        return LumaOutput((thermal + visible) / 2)


def _load_mean(_name: str, _device: object) -> Fuser:
    return MeanFuser().eval()


def main(arguments: list[str]) -> int:
    """Run the node until it is stopped."""
    from fusion_node.main import main as run_node

    if WITHOUT_NETWORKS in arguments:
        # Replaced in this process only; the mean was not exported for the other engines.
        setattr(builders, "load_model", _load_mean)  # noqa: B010
        setattr(local_engine, "KINDS", ("torch",))  # noqa: B010
        sys.argv.remove(WITHOUT_NETWORKS)
    return int(run_node(None))


if __name__ == "__main__":
    sys.exit(main(sys.argv))
