"""The refinement beside the frame path: in the caller's thread, or in a thread of its own."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass

import numpy as np

from fusion_core.registration.field import Field
from fusion_core.registration.refine import Correction, Refinement
from fusion_core.registration.settings import RegistrationConfig
from fusion_core.registration.warp import Warp
from fusion_core.runtime.closing import Closing
from fusion_core.runtime.latest import LatestSlot
from fusion_core.types import AlignedPair

_log = logging.getLogger(__name__)
_JOIN_S = 10.0


@dataclass(frozen=True, eq=False)
class Applied:
    """What aligns the next pair.

    Attributes:
        field: The rig's map for the present sizes.
        correction: The correction of it.
        warp: Both together; None where the thermal image stays as it is.
    """

    field: Field
    correction: Correction
    warp: Warp | None

    @classmethod
    def plain(cls, field: Field) -> Applied:
        """Return the rig's own map."""
        return cls(field, Correction(np.eye(3)), field.plain)


class Follower(Closing):
    """Turns aligned pairs into the next map, which the frame path only has to pick up.

    Without ``start`` this happens in the caller's thread, so that a recording gives the same
    result every time. With it, a thread takes the newest pair whenever it has time.
    """

    def __init__(self, config: RegistrationConfig) -> None:
        self._refinement = Refinement(config)
        self._slot: LatestSlot[tuple[AlignedPair, Applied]] = LatestSlot()
        self._thread: threading.Thread | None = None
        self.newest: Applied | None = None

    def start(self) -> None:
        """Work in a thread of its own from now on; once is enough."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="registration", daemon=True)
            self._thread.start()

    def offer(self, pair: AlignedPair, applied: Applied) -> None:
        """Take a pair that shows both images and was aligned with ``applied``."""
        if self._thread is None:
            self._advance(pair, applied)
        else:
            self._slot.put((pair, applied))

    def close(self) -> None:
        """End the thread."""
        self._slot.close()
        if self._thread is not None:
            self._thread.join(_JOIN_S)

    def _advance(self, pair: AlignedPair, applied: Applied) -> None:
        newest = self.newest
        if newest is None or newest.field is not applied.field:
            self._refinement.reset()
            newest = Applied.plain(applied.field)
        correction = self._refinement.update(pair, applied.correction.matrix)
        warp = newest.warp
        if correction.matrix is not newest.correction.matrix:
            moved = correction.size_px > 0
            warp = applied.field.corrected(correction.matrix) if moved else applied.field.plain
        self.newest = Applied(applied.field, correction, warp)

    def _work(self) -> None:
        while (entry := self._slot.take()) is not None:
            try:
                self._advance(*entry)
            except Exception:  # noqa: BLE001 - the frame path goes on with the last map
                _log.exception("the registration could not be refined on a pair")
