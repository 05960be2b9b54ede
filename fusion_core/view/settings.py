"""Settings of the operator's page; the configuration holds them as its block ``view``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from fusion_core.runtime.settings import Settings


@dataclass(frozen=True)
class ViewConfig(Settings):
    """Whether and where the operator's page is served."""

    serve: Annotated[
        bool, Field(description="Serve the operator's page while the stream runs.")
    ] = False
    host: Annotated[
        str,
        Field(
            min_length=1,
            description="Address of this machine to serve it on; for any but loopback the page asks"
            " for the token that is printed.",
        ),
    ] = "127.0.0.1"
    port: Annotated[
        int, Field(ge=0, le=65535, description="TCP port of the page; 0: any that is free.")
    ] = 8642
    folder: Annotated[
        str,
        Field(
            min_length=1, description="Folder of what is recorded from the page; made when used."
        ),
    ] = "recordings"
