"""When a message's image was captured: by its header, or by reception where that says nothing."""

from __future__ import annotations

import logging
from typing import Final

from fusion_core.types import Modality

_log = logging.getLogger(__name__)
_CONSTANT: Final = 3  # equal stamps in a row; a message that is sent twice repeats one


class CaptureStamps:
    """Chooses the stamp of each message of one stream, by one rule for bags and live topics.

    A header's stamp is used unless it is unset (zero) or constant (the third equal one in a row
    and those after it); reception stands in for these, and one warning is logged.

    Args:
        modality: The stream, for the warning.

    Attributes:
        problem: What is wrong with the header's stamps, empty while nothing was.
    """

    def __init__(self, modality: Modality) -> None:
        self.problem = ""
        self._modality = modality
        self._last: int | None = None
        self._equal = 0

    def stamp_ns(self, header_ns: int, received_ns: int) -> int:
        """Return the stamp of the next message.

        Args:
            header_ns: Stamp in its header, in nanoseconds.
            received_ns: When it was received or recorded, in nanoseconds.
        """
        if header_ns == 0:
            self._warn("are not set (zero)")
            return received_ns
        self._equal = self._equal + 1 if header_ns == self._last else 1
        self._last = header_ns
        if self._equal < _CONSTANT:
            return header_ns
        self._warn(f"do not change (all are {header_ns / 1e9:.3f} s)")
        return received_ns

    def _warn(self, what: str) -> None:
        if self.problem:
            return
        self.problem = (
            f"{self._modality} stamps {what}: the time of reception is used instead; "
            "let the camera's driver set header.stamp"
        )
        _log.warning("%s", self.problem)
