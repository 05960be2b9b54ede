"""The dynamic memory bank: vectors of scenes that fused well, read by every frame."""

from __future__ import annotations

import hashlib
import math
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from fusion_core.memory.settings import MemoryConfig
from fusion_core.memory.snapshot import Snapshot, read_snapshot, write_snapshot
from fusion_core.memory.statistics import HISTORY, KAPPA, BankStats, bank_stats, score_threshold
from fusion_core.types import FloatImage

MOMENTUM = 0.1  # share of an accepted query in its slot's update
_TINY = 1e-12  # length below which a vector has no direction


class MemoryBank:
    """Slots that follow the scene vectors of frames with a high quality score.

    A query whose score exceeds ``mean + kappa * std`` of the last ``HISTORY`` scores moves the slot
    nearest to it by cosine: ``slot <- (1 - momentum) * slot + momentum * query`` (M2PN, dynamic
    memory bank). The history begins with the scores that came with the slots; below ``WARM_UP``
    of them queries only bring scores to compare with. Values that are not finite are never
    accepted. All methods may be called from several threads.

    Args:
        slots: ``NxD`` slots to start from and to return to; copied.
        config: Mode, momentum and kappa.
        model_name: Network whose scene vectors these are; snapshots carry it.
        scores: Quality scores to compare the first queries with, those of the pictures that the
            slots were trained on.
        replace_after: For training: an accepted query takes the place of the slot that was not
            used for longest, once that is this many queries. Without it the few slots that are
            nearest first attract all queries, and the rest stay as they were drawn.
        accept_unjudged: For training, where the slots begin as they were drawn: queries are
            accepted while there are too few scores to compare with.
    """

    def __init__(
        self,
        slots: ArrayLike,
        config: MemoryConfig,
        model_name: str,
        scores: Sequence[float] = (),
        *,
        momentum: float = MOMENTUM,
        kappa: float = KAPPA,
        replace_after: int | None = None,
        accept_unjudged: bool = False,
    ) -> None:
        self._initial: FloatImage = np.asarray(slots, np.float32).copy()
        self._config = config
        self._model_name = model_name
        self._scores = tuple(scores)
        self._momentum, self._kappa = momentum, kappa
        self._replace_after = replace_after
        self._accept_unjudged = accept_unjudged
        self._lock = threading.Lock()
        self._revision = 0
        self.reset()

    @property
    def model_name(self) -> str:
        """Network whose scene vectors these are."""
        return self._model_name

    @property
    def shape(self) -> tuple[int, int]:
        """Number and width of the slots."""
        count, width = self._initial.shape
        return count, width

    @property
    def slots(self) -> FloatImage:
        """Current slots, ``NxD`` float32; a later update leaves this array as it is."""
        return self._slots

    @property
    def revision(self) -> int:
        """Number that grows with every change of slots or statistics."""
        return self._revision

    def reset(self) -> None:
        """Return to the initial slots and scores, and forget all statistics."""
        count = self._initial.shape[0]
        with self._lock:
            self._slots: FloatImage = self._initial
            self._history: deque[float] = deque(self._scores, maxlen=HISTORY)
            self._accepted = self._rejected = 0
            self._uses, self._updates = [0] * count, [0] * count
            self._last_used = [-1] * count
            self._revision += 1

    def update(self, query: ArrayLike, scores: ArrayLike) -> int | None:
        """Submit a batch of queries, in order; a frozen bank ignores them.

        Args:
            query: ``BxD`` scene vectors.
            scores: ``B`` quality scores.

        Returns:
            Index of the last slot that was updated, None when none was.
        """
        if self._config.mode == "frozen":
            return None
        vectors, values = np.asarray(query, np.float32), np.asarray(scores, np.float64)
        updated = None
        with self._lock:
            for vector, score in zip(vectors, values.tolist(), strict=True):
                slot = self._submit_query(vector, score)
                self._revision += 1
                updated = updated if slot is None else slot
        return updated

    def stats(self) -> BankStats:
        """Return counters, threshold and diversity."""
        return bank_stats(self.snapshot(), self._kappa)

    @property
    def origin(self) -> str:
        """Fingerprint of the trained slots, which retrained weights do not share."""
        return hashlib.sha256(self._initial.tobytes()).hexdigest()

    def snapshot(self) -> Snapshot:
        """Return slots, statistics and history as they are now."""
        with self._lock:
            return Snapshot(
                slots=self._slots,
                uses=tuple(self._uses),
                updates=tuple(self._updates),
                last_used=tuple(self._last_used),
                accepted=self._accepted,
                rejected=self._rejected,
                history=tuple(self._history),
            )

    def restore(self, snapshot: Snapshot) -> None:
        """Take over a state of a bank of this shape."""
        with self._lock:
            self._slots = np.asarray(snapshot.slots, np.float32).copy()
            self._uses, self._updates = list(snapshot.uses), list(snapshot.updates)
            self._last_used = list(snapshot.last_used)
            self._accepted, self._rejected = snapshot.accepted, snapshot.rejected
            self._history = deque(snapshot.history, maxlen=HISTORY)
            self._revision += 1

    def save_snapshot(self, path: str | Path) -> None:
        """Write slots, statistics and history; the file is either whole or as it was.

        Raises:
            OSError: The file cannot be written.
        """
        write_snapshot(path, self.snapshot(), self._model_name, self.origin)

    def load_snapshot(self, path: str | Path) -> None:
        """Take over a saved state; on an error the bank stays as it is.

        Raises:
            MemoryBankError: The file is missing, torn, foreign, or of another network, or was
                saved with other trained weights.
        """
        self.restore(read_snapshot(path, self._model_name, self.origin, self.shape))

    def _submit_query(self, vector: FloatImage, score: float) -> int | None:
        """Count one query, update a slot when it is good; return that slot."""
        number = self._accepted + self._rejected
        if not (np.isfinite(vector).all() and math.isfinite(score)):
            self._rejected += 1
            return None
        threshold = self._threshold()
        self._history.append(score)
        slot = int(_cosine(vector, self._slots).argmax())
        self._uses[slot] += 1
        self._last_used[slot] = number
        if not self._accept_unjudged if threshold is None else score <= threshold:
            self._rejected += 1
            return None
        self._accepted += 1
        share = self._momentum
        stalest = min(range(len(self._last_used)), key=self._last_used.__getitem__)
        if self._replace_after is not None and (
            number - self._last_used[stalest] > self._replace_after
        ):
            slot, share = stalest, 1.0
            self._last_used[slot] = number
        slots = self._slots.copy()
        slots[slot] = _moved(slots[slot], vector, share)
        self._slots = slots
        self._updates[slot] += 1
        return slot

    def _threshold(self) -> float | None:
        return score_threshold(self._history, self._kappa)


def _cosine(query: FloatImage, slots: FloatImage) -> FloatImage:
    """Return the cosines of a vector ``D`` with slots ``NxD``."""
    lengths = np.linalg.norm(slots, axis=1) * np.linalg.norm(query)
    return np.asarray(slots @ query / np.maximum(lengths, _TINY), np.float32)


def _moved(slot: FloatImage, vector: FloatImage, share: float) -> FloatImage:
    """Return a slot that has gone a share of the way to a vector, rounded once."""
    step = np.float64(np.float32(share)) * (vector - slot).astype(np.float64)
    return np.asarray(slot + step, np.float32)
