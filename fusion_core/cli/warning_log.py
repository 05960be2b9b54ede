"""The warnings of a run, kept for its summary."""

from __future__ import annotations

import logging
from typing import Final

_MOST: Final = 50


class WarningLog(logging.Handler):
    """Keeps the distinct warnings of the package, the first fifty; they go to the screen as well.

    Use it as a context manager around the run.

    Attributes:
        messages: The warnings in order.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one warning."""
        message = record.getMessage()
        if message not in self.messages and len(self.messages) < _MOST:
            self.messages.append(message)

    def __enter__(self) -> WarningLog:
        """Begin to keep warnings."""
        logging.getLogger("fusion_core").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        logging.getLogger("fusion_core").removeHandler(self)
