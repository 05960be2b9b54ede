"""Architecture of an MMAIF network, and what can be changed after training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import Field

from fusion_core.runtime.settings import Settings

TASKS: Final = ("vif", "mef", "mff")
"""Tasks in the order of their embeddings."""


@dataclass(frozen=True, slots=True)
class MMAIFConfig:
    """Architecture of an MMAIF network; the defaults are the embedded one's.

    Attributes:
        channels: Channels of the codec's latents.
        text: Width of the text's tokens; the embedded encoder's is 128.
        reduce: Factor by which the codec sees the pictures smaller.
        patch: Edge of a token in places of the latent.
        width: Channels of the tokens.
        depth: Blocks.
        heads: Heads of the attention; the width of a head is a multiple of four.
        hidden: Channels inside a GLU expert.
        experts: Routed experts beside the one that all tokens share; 1 leaves nothing to route.
        chosen: Routed experts that work for one token.
        rank: Rank of each block's own part of the modulation.
        positions: Edge of the learned position maps.
        rope: Queries and keys are rotated by their place.
        value_residual: Blocks mix the values of the block before into their own.
        convolution: A NAF block stands before every attention.
        objective: ``regression`` adds to the mean of the latents; ``flow`` makes the latent out of
            noise.
        refine: Channels of the pixel network at strides 2, 4 and 8.
    """

    channels: int = 32
    text: int = 128
    reduce: int = 4
    patch: int = 1
    width: int = 192
    depth: int = 6
    heads: int = 6
    hidden: int = 128
    experts: int = 4
    chosen: int = 1
    rank: int = 32
    positions: int = 16
    rope: bool = True
    value_residual: bool = True
    convolution: bool = True
    objective: Literal["regression", "flow"] = "regression"
    refine: tuple[int, int, int] = (24, 48, 96)


ROBOT: Final = MMAIFConfig()
PAPER: Final = MMAIFConfig(
    reduce=1,
    patch=1,
    width=512,
    depth=12,
    heads=8,
    hidden=704,
    positions=32,
    refine=(48, 96, 192),
)


@dataclass(frozen=True)
class MMAIFOptions(Settings):
    """What can be changed after training."""

    flow_steps: Annotated[
        int, Field(ge=1, le=100, description="Euler steps of a network that is trained as a flow.")
    ] = 10
    guidance: Annotated[
        float,
        Field(
            ge=1,
            le=5,
            description="Of a flow: 1 follows the text as trained, more exaggerates it.",
        ),
    ] = 1.0
    codec_weights: Annotated[
        str,
        Field(
            description="File of `fusion train --model mmaif-codec`, or a folder of TAEF2's files;"
            " empty: the codec that ships."
        ),
    ] = ""
    text_weights: Annotated[
        str,
        Field(
            description="File of `fusion train --model mmaif-text`; empty: the encoder that ships."
        ),
    ] = ""
