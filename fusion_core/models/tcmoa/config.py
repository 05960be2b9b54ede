"""Architecture of a TC-MoA network, and what can be changed after training."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal

from pydantic import Field

from fusion_core.models.tcmoa.backbone import BASE, LARGE, SMALL, MaeConfig
from fusion_core.runtime.settings import Settings

TASKS: Final = ("vif", "mef", "mff")
"""Tasks in the order of the routers."""
CHOSEN: Final = "mff"
"""The task that chooses pixels and blends none."""


@dataclass(frozen=True, slots=True)
class TCMoAConfig:
    """Architecture of a TC-MoA network.

    Attributes:
        backbone: Where the frozen autoencoder comes from: ``embedded``, or ``mae`` for one of
            transformers' class.
        mae: Architecture of the frozen autoencoder.
        upsample: Factor by which it sees the pictures larger.
        every: Blocks per adapter layer, the paper's tau.
        experts: Adapters of a layer.
        chosen: Adapters that work for one token.
        adapter: ``prompts`` of routed adapters as in the paper, or ``plain``: each stream has its
            own residual adapter, and no router, prompt or fusion layer.
        combine: How the chosen adapters' answers are joined: ``linear`` as in the paper, or
            ``logsumexp`` as in the public code.
        keep_statistics: Adapter layers of the decoder keep mean and deviation of each stream.
        result: ``pixels``: prompts decide, the sources' own pixels make the picture; ``decoder``:
            the picture that the decoder paints, as in the paper.
        evidence: Kinds of evidence of a pixel, whose weights the last adapters choose.
        clued: Routers and adapters of all layers read what speaks for the sources, such as their
            sharpness, beside the tokens.
    """

    backbone: Literal["embedded", "mae"] = "embedded"
    mae: MaeConfig = field(default_factory=lambda: SMALL)
    upsample: int = 1
    every: int = 4
    experts: int = 4
    chosen: int = 2
    adapter: Literal["prompts", "plain"] = "prompts"
    combine: Literal["linear", "logsumexp"] = "linear"
    keep_statistics: bool = True
    result: Literal["pixels", "decoder"] = "pixels"
    evidence: int = 12
    clued: bool = True


ROBOT: Final = TCMoAConfig()
PAPER_BASE: Final = TCMoAConfig(
    backbone="mae", mae=BASE, upsample=2, combine="logsumexp", result="decoder", clued=False
)
PAPER_LARGE: Final = dataclasses.replace(PAPER_BASE, mae=LARGE)


def layer_after(block: int, every: int) -> bool:
    """Return whether an adapter layer follows a block, counted from 0."""
    return (block + 2) % every == every - 1


@dataclass(frozen=True)
class TCMoAOptions(Settings):
    """What can be changed after training."""

    alpha: Annotated[
        float,
        Field(
            ge=0,
            le=10,
            description="Contrast of the prompts: 1 as trained, more decides between the sources,"
            " 0 takes the mean of both.",
        ),
    ] = 1.0
    beta: Annotated[
        float,
        Field(ge=-1, le=1, description="Shift towards the first picture: 0 as trained, 1 that."),
    ] = 0.0
    mix_task: Annotated[
        Literal["", "vif", "mef", "mff"],
        Field(description="Another task whose routers are mixed in; empty: none."),
    ] = ""
    mix: Annotated[
        float, Field(ge=0, le=1, description="Share of that task's routers in the routing.")
    ] = 0.5
    mae_weights: Annotated[
        str,
        Field(
            description="Folder or hub name of the masked autoencoder's weights, for networks with"
            " a real one; empty: the default."
        ),
    ] = ""
