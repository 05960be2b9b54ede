"""The methods that are compared: learned ones, cascades, and the plain mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from fusion_core.models import Cues, load_model, load_weights
from fusion_core.models.mdaif import MdaIF
from fusion_core.types import AlignedPair, ScenePrior, UInt8Image
from fusion_lab.benches.networks import FusePair, pair_fuser
from fusion_lab.benches.restoring.classical import (
    dehaze,
    equalise,
    remove_specks,
    remove_streaks,
)
from fusion_lab.data import aligned_pair
from fusion_lab.training.restoring.restorer import Restorer

_CLASSICAL: dict[str, Callable[[UInt8Image], UInt8Image]] = {
    "dark channel": dehaze,
    "CLAHE": equalise,
    "median": remove_specks,
    "row median": remove_streaks,
}


@dataclass(frozen=True, slots=True)
class Method:
    """A way to fuse a degraded pair.

    Attributes:
        fuse: Returns the fused ``HxWx3`` RGB picture.
        restore: Returns the visible picture that it restores on the way, ``HxWx3`` RGB or ``HxW``
            luma; None when there is none.
    """

    fuse: FusePair
    restore: FusePair | None = None


def compared_methods(restorer: Path | None, *, slow: bool) -> dict[str, Method]:
    """Return the methods to compare; the first is the one whose lead is printed.

    Args:
        restorer: Weights of a learned restorer; without it the cascades are classical.
        slow: Compare with the full m2pn as well.
    """
    network = load_model("mdaif")
    assert isinstance(network, MdaIF)
    methods = {
        "mdaif": Method(pair_fuser(network, with_prior=True), _restored_by(network)),
        "mean of the sources": Method(mean_of_sources, _shown),
        "mdaif, no prior": Method(pair_fuser(network, with_prior=False)),
    }
    restorers: dict[str, FusePair] = {name: _alone(rule) for name, rule in _CLASSICAL.items()}
    if restorer is not None:
        learned = Restorer()
        load_weights(learned, restorer)
        restorers["restorer"] = pair_fuser(learned, with_prior=False)
    for name in ("m2pn-edge", "m2pn") if slow else ("m2pn-edge",):
        fuse = pair_fuser(load_model(name), with_prior=False)
        methods[name] = Method(fuse)
        for first, restore in restorers.items():
            methods[f"{first}, then {name}"] = cascade(restore, fuse)
    return methods


def cascade(restore: FusePair, fuse: FusePair) -> Method:
    """Return a method that fuses the visible picture that another one restored."""

    def in_turn(pair: AlignedPair, prior: ScenePrior | None) -> UInt8Image:
        return fuse(aligned_pair(restore(pair, prior), _thermal(pair)), prior)

    return Method(in_turn, restore)


def mean_of_sources(pair: AlignedPair, _prior: ScenePrior | None) -> UInt8Image:
    """Return the mean of the visible luma and the thermal picture in the visible colours."""
    planes = cv2.cvtColor(_visible(pair), cv2.COLOR_RGB2YCrCb)
    planes[..., 0] = (planes[..., 0].astype(np.uint16) + _thermal(pair) + 1) // 2
    return np.asarray(cv2.cvtColor(planes, cv2.COLOR_YCrCb2RGB), np.uint8)


def _shown(pair: AlignedPair, _prior: ScenePrior | None) -> UInt8Image:
    return _visible(pair)


def _alone(rule: Callable[[UInt8Image], UInt8Image]) -> FusePair:
    return lambda pair, _prior: rule(_visible(pair))


@torch.inference_mode()
def _restore(network: MdaIF, pair: AlignedPair, prior: ScenePrior | None) -> UInt8Image:
    planes = cv2.cvtColor(_visible(pair), cv2.COLOR_RGB2YCrCb)[..., [0, 2, 1]]
    colour = torch.from_numpy(planes).permute(2, 0, 1)[None].float() / 255
    thermal = torch.from_numpy(_thermal(pair))[None, None].float() / 255
    tokens = None if prior is None else torch.from_numpy(prior.tokens)[None]
    made = network.restore(thermal, colour[:, :1], Cues(chroma=colour[:, 1:], tokens=tokens))
    return (made.visible[0, 0].clamp(0, 1) * 255).round().byte().numpy()


def _restored_by(network: MdaIF) -> FusePair:
    return lambda pair, prior: _restore(network, pair, prior)


def _visible(pair: AlignedPair) -> UInt8Image:
    assert pair.visible is not None, "pairs of the test set are complete"
    return pair.visible


def _thermal(pair: AlignedPair) -> UInt8Image:
    assert pair.thermal is not None, "pairs of the test set are complete"
    return np.rint(pair.thermal * 255).astype(np.uint8)
