"""Settings of how the engine adapts to the scene prior; the configuration's block ``adapt``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from fusion_core.runtime.settings import Settings
from fusion_core.transport.endpoints import ENDPOINT_PATTERN


@dataclass(frozen=True)
class AdaptConfig(Settings):
    """What the scene prior changes: corrections of the inputs, and which model runs."""

    correct_inputs: Annotated[
        bool,
        Field(
            description="Reduce or correct an input that the prior rates noisy, striped, glaring or"
            " flat, by itself (noise and stripes only for models that do not use the prior,"
            " glare only for those that read no text),"
            " speckle in the dark, and rain, snow, smoke and noise by the frames before where"
            " nothing moves."
        ),
    ] = True
    clean: Annotated[str, Field(description="Model auto: the model for clear scenes.")] = (
        "m2pn-edge"
    )
    degraded: Annotated[str, Field(description="Model auto: the model for degraded scenes.")] = (
        "mdaif"
    )


EngineKind = Literal["auto", "torch", "openvino", "onnx"]


@dataclass(frozen=True)
class EngineConfig(Settings):
    """What runs the networks: in this process, or on a server."""

    kind: Annotated[
        EngineKind,
        Field(
            description="What runs the fusion network in this process: torch, openvino, onnx (ONNX"
            " Runtime), or auto: the fastest by a short measurement, which is kept. On a CPU the"
            " detector runs likewise, with torch in ONNX Runtime."
        ),
    ] = "auto"
    provider: Annotated[
        Literal["auto", "cpu", "cuda", "tensorrt"],
        Field(
            description="Execution provider of ONNX Runtime; auto: cuda on a GPU, else cpu."
            " tensorrt builds its engine at the first start, for minutes, and keeps it."
        ),
    ] = "auto"
    endpoint: Annotated[
        str,
        Field(
            pattern=ENDPOINT_PATTERN,
            description="Server that runs model and prior, as `fusion serve --bind` names it:"
            " ipc://FILE or tcp://HOST:PORT; empty: this process.",
        ),
    ] = ""
    keys: Annotated[
        str,
        Field(
            description="Folder of this client's keys, made by `fusion serve --make-keys`; a server"
            " that other machines can reach asks for them."
        ),
    ] = ""
