"""Ablations by name: the same run with one part taken out (M2PN, section "ablation study").

``paper`` is the network with all that was added taken out: its head and its losses as published.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fusion_core.errors import UsageError
from fusion_core.models import LumaFuser
from fusion_lab.training.shared_init import build_variant

_NEVER = -1e9


@dataclass(frozen=True, slots=True)
class FuserAblation:
    """What one case changes.

    Attributes:
        case: Number of the case in the paper; 0: none of its cases.
        network: Fields of ``M2PNConfig``.
        loss: Fields of ``LossWeights``.
        recipe: Fields of ``FusionRecipe``.
    """

    case: int
    network: Mapping[str, bool | str] = field(default_factory=dict)
    loss: Mapping[str, float] = field(default_factory=dict)
    recipe: Mapping[str, float | str] = field(default_factory=dict)


ABLATIONS: Mapping[str, FuserAblation] = {
    "no-context": FuserAblation(1, network={"context_nodes": False}),
    "discriminator": FuserAblation(2, recipe={"quality_score": "discriminator"}),
    "no-quality-score": FuserAblation(3, recipe={"kappa": _NEVER}),
    "no-graph": FuserAblation(4, network={"graph": False}),
    "no-memory": FuserAblation(5, network={"memory": False}),
    "no-structure": FuserAblation(6, loss={"ssim": 0, "gradient": 0}),
    "no-selection": FuserAblation(
        7, loss={"selected": 0, "brighter": 10, "k": _NEVER, "guard": False}
    ),
    "no-contrast": FuserAblation(8, loss={"contrast": 0, "apart": 0, "reading": 0}),
    "no-prompts": FuserAblation(9, network={"prompts": False}),
    "paper": FuserAblation(
        0,
        network={"head": "tanh", "places": False},
        loss={
            "selected": 1,
            "brighter": 0,
            "ssim": 15,
            "gradient": 15,
            "overshoot": 0,
            "halo": 0,
            "complement": 0,
            "contrast": 1,
            "apart": 1,
            "reading": 0,
            "guard": False,
        },
    ),
}


def find_ablation(name: str) -> FuserAblation:
    """Return an ablation; the empty name is the full system.

    Raises:
        UsageError: No such ablation.
    """
    if not name:
        return FuserAblation(0)
    if name not in ABLATIONS:
        raise UsageError(f"ablation {name!r}: unknown; known ablations: {', '.join(ABLATIONS)}")
    return ABLATIONS[name]


def build_network(model: str, ablation: str, seed: int) -> LumaFuser:
    """Build the untrained network of a run; an ablation starts from the full network's tensors.

    Raises:
        UsageError: No such model or ablation.
    """
    network = build_variant(model, seed, find_ablation(ablation).network)
    assert network.luma_path is not None, "memory is trained on luma"
    return network.luma_path
