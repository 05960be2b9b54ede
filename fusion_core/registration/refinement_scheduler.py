"""Scheduling of the refinement: beside the frame path, or within it for recordings."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass

import numpy as np

from fusion_core.registration.calibration_map import CalibrationMap
from fusion_core.registration.correction_filter import Correction, CorrectionFilter
from fusion_core.registration.estimation_backend import EstimationBackend, InlineBackend
from fusion_core.registration.process_backend import ProcessBackend
from fusion_core.registration.settings import RegistrationConfig
from fusion_core.registration.warp import Warp
from fusion_core.runtime.closable import Closable
from fusion_core.runtime.process import BackgroundThread
from fusion_core.types import AlignedPair

_log = logging.getLogger(__name__)
_JOIN_S = 10.0
_IDLE_POLL_S = 0.1
_MOVING_POLL_S = 1 / 30  # while the correction moves


@dataclass(frozen=True, eq=False)
class AppliedMap:
    """The map that aligns the next pair.

    Attributes:
        base: The rig's map for the present image sizes.
        correction: The correction of it.
        warp: Both combined; None where the thermal image is used as it is.
    """

    base: CalibrationMap
    correction: Correction
    warp: Warp | None

    @classmethod
    def uncorrected(cls, base: CalibrationMap) -> AppliedMap:
        """Return the rig's own map."""
        return cls(base, Correction(np.eye(3)), base.uncorrected)


class RefinementScheduler(Closable):
    """Turns aligned pairs into corrected maps, which the frame path reads from ``latest_map``.

    Without ``start`` this happens in the caller's thread, so that a recording gives the same
    result every time. With it, a child process estimates, and a thread polls for the newest pair
    and computes the maps. The frame path never wakes either of them: on a machine with all cores
    busy, waking them would often preempt the frame path itself.
    """

    def __init__(self, config: RegistrationConfig) -> None:
        self._config = config
        self._backend: EstimationBackend = InlineBackend(config)
        self._filter = CorrectionFilter(config, self._backend)
        self._submitted: tuple[AlignedPair, AppliedMap] | None = None
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()
        self.latest_map: AppliedMap | None = None

    @property
    def failed(self) -> bool:
        """Whether nothing is estimated at present: the child process is lost."""
        return self._backend.failed

    def start(self) -> None:
        """Work in the background from now on; further calls do nothing."""
        if self._thread is None:
            self._backend = ProcessBackend(self._config)
            self._filter = CorrectionFilter(self._config, self._backend)
            self._thread = BackgroundThread(self._run, "registration")
            self._thread.start()

    def submit_pair(self, pair: AlignedPair, applied: AppliedMap) -> None:
        """Submit a pair with both images that was aligned with ``applied``."""
        if self._thread is None:
            self._update_map(pair, applied)
        else:
            self._submitted = pair, applied

    def close(self) -> None:
        """Stop the thread and the child process."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join(_JOIN_S)
        self._backend.close()

    def _update_map(self, pair: AlignedPair, applied: AppliedMap) -> bool:
        """Compute the next map; return whether it has changed."""
        latest = self.latest_map
        if latest is None or latest.base is not applied.base:
            self._filter.reset_correction()
            latest = AppliedMap.uncorrected(applied.base)
        correction = self._filter.update_correction(pair, applied.correction.matrix)
        warp, changed = latest.warp, correction.matrix is not latest.correction.matrix
        if changed:
            moved = correction.size_px > 0
            base = applied.base
            warp = base.corrected(correction.matrix) if moved else base.uncorrected
        self.latest_map = AppliedMap(applied.base, correction, warp)
        return changed

    def _run(self) -> None:
        moving = False
        while not self._closed.wait(_MOVING_POLL_S if moving else _IDLE_POLL_S):
            entry, self._submitted = self._submitted, None
            if entry is None:
                continue
            try:
                moving = self._update_map(*entry)
            except Exception:  # noqa: BLE001 - the frame path continues with the last map
                _log.exception("registration: refinement failed on a pair")
