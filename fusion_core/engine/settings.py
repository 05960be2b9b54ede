"""Settings of how the engine adapts to the scene prior; the configuration's block ``adapt``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from fusion_core.runtime.settings import Settings


@dataclass(frozen=True)
class AdaptConfig(Settings):
    """What the scene prior changes: corrections of the inputs, and which model runs."""

    correct_inputs: Annotated[
        bool,
        Field(
            description="Reduce or correct an input that the prior rates noisy, striped, glaring or"
            " flat; noise and stripes only for models that do not use the prior themselves."
        ),
    ] = True
    clean: Annotated[str, Field(description="Model auto: the model for clear scenes.")] = (
        "m2pn-edge"
    )
    degraded: Annotated[str, Field(description="Model auto: the model for degraded scenes.")] = (
        "mdaif"
    )
