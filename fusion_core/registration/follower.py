"""The refinement beside the frame path, or for recordings within it."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass

import numpy as np

from fusion_core.registration.comparison import InPlace, Measurer
from fusion_core.registration.field import Field
from fusion_core.registration.refine import Correction, Refinement
from fusion_core.registration.settings import RegistrationConfig
from fusion_core.registration.warp import Warp
from fusion_core.registration.worker import Worker
from fusion_core.runtime.closable import Closable
from fusion_core.types import AlignedPair

_log = logging.getLogger(__name__)
_JOIN_S = 10.0
_REST_S = 0.1  # from one look at the newest pair to the next
_STEP_S = 1 / 30  # the same while the correction moves


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


class Follower(Closable):
    """Turns aligned pairs into the next map, which the frame path only has to pick up.

    Without ``start`` this happens in the caller's thread, so that a recording gives the same
    result every time. With it, a process measures, and a thread looks at the newest pair now and
    then and makes the maps. The frame path wakes neither of them: on a machine whose cores are all
    in use it would often have to give its core to the one that it has woken.
    """

    def __init__(self, config: RegistrationConfig) -> None:
        self._config = config
        self._measurer: Measurer = InPlace(config)
        self._refinement = Refinement(config, self._measurer)
        self._offered: tuple[AlignedPair, Applied] | None = None
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()
        self.newest: Applied | None = None

    @property
    def failed(self) -> bool:
        """Whether nothing is measured at present: the process is lost."""
        return self._measurer.failed

    def start(self) -> None:
        """Work beside the caller's thread from now on; once is enough."""
        if self._thread is None:
            self._measurer = Worker(self._config)
            self._refinement = Refinement(self._config, self._measurer)
            self._thread = threading.Thread(target=self._work, name="registration", daemon=True)
            self._thread.start()

    def offer(self, pair: AlignedPair, applied: Applied) -> None:
        """Take a pair that shows both images and was aligned with ``applied``."""
        if self._thread is None:
            self._advance(pair, applied)
        else:
            self._offered = pair, applied

    def close(self) -> None:
        """End the thread and the process."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join(_JOIN_S)
        self._measurer.close()

    def _advance(self, pair: AlignedPair, applied: Applied) -> bool:
        """Make the next map; return whether it is another one."""
        newest = self.newest
        if newest is None or newest.field is not applied.field:
            self._refinement.reset()
            newest = Applied.plain(applied.field)
        correction = self._refinement.update(pair, applied.correction.matrix)
        warp, changed = newest.warp, correction.matrix is not newest.correction.matrix
        if changed:
            moved = correction.size_px > 0
            warp = applied.field.corrected(correction.matrix) if moved else applied.field.plain
        self.newest = Applied(applied.field, correction, warp)
        return changed

    def _work(self) -> None:
        moving = False
        while not self._closed.wait(_STEP_S if moving else _REST_S):
            entry, self._offered = self._offered, None
            if entry is None:
                continue
            try:
                moving = self._advance(*entry)
            except Exception:  # noqa: BLE001 - the frame path goes on with the last map
                _log.exception("the registration could not be refined on a pair")
