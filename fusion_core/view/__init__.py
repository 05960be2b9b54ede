"""The operator's page: what the stream shows, in a browser, and what an operator may steer."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from fusion_core.errors import missing_extra

if TYPE_CHECKING:
    from fusion_core.view.controls import Controls
    from fusion_core.view.server import PageServer
    from fusion_core.view.settings import ViewConfig

_PACKAGES = ("starlette", "uvicorn", "websockets")


def require_view_packages(purpose: str) -> None:
    """Check that the packages that the page needs are installed.

    Args:
        purpose: What needs them, for the message.

    Raises:
        MissingExtraError: One or more are missing; all are named.
    """
    missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise missing_extra(purpose, " and ".join(missing), "view")


def open_page(config: ViewConfig, controls: Controls) -> PageServer:
    """Serve the page of a stream until it is closed.

    Args:
        config: Where.
        controls: What steers the stream, such as its pipeline.

    Raises:
        MissingExtraError: The packages for it are not installed.
        ViewError: The address cannot be used.
    """
    require_view_packages("the operator's page")
    from fusion_core.view.server import PageServer

    return PageServer(config, controls)
