"""How a server says that there is no result."""

from __future__ import annotations

import logging

from fusion_core.errors import FusionError
from fusion_core.transport.calls import Kind, Message

_log = logging.getLogger(__name__)


def refusal(number: int, error: Exception) -> Message:
    """Return the answer to a request that failed; what is unexpected is logged.

    Args:
        number: Number of the request.
        error: What it failed of.
    """
    if isinstance(error, FusionError):
        text = {"class": type(error).__name__, "text": str(error)}
    else:
        _log.error("a request failed", exc_info=error)
        text = {"class": "EngineError", "text": f"{type(error).__name__}: {error}"}
    return Message(Kind.REFUSED, number, text)
