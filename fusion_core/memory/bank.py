"""The dynamic memory bank: vectors of scenes that fused well, read by every frame."""

from __future__ import annotations

import hashlib
import math
import threading
from collections import deque
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from fusion_core.memory.settings import MemoryConfig
from fusion_core.memory.snapshot import Snapshot, read_snapshot, write_snapshot
from fusion_core.memory.statistics import HISTORY, KAPPA, BankStats, bank_stats, score_threshold

TEMPERATURE = 0.1
MOMENTUM = 0.1  # share of an accepted query in its slot's update


def retrieve(
    query: Tensor, slots: Tensor, temperature: float = TEMPERATURE
) -> tuple[Tensor, Tensor]:
    """Read a bank by similarity: softmax over cosines, then the weighted sum of the slots.

    M2PN, dynamic memory bank; the paper has no temperature, which is ``temperature=1`` here and
    reads a hundred slots almost evenly.

    Args:
        query: ``BxD`` scene vectors.
        slots: ``NxD``, or ``BxNxD`` of a bank for every vector.
        temperature: Divides the cosines; small is selective.

    Returns:
        What was read, ``BxD``, and the weights of the slots, ``BxN``; float32 outside autocast.
    """
    slots = slots.to(query.device, torch.float32)
    if slots.ndim == 3:
        pairs = [
            retrieve(one[None], own, temperature) for one, own in zip(query, slots, strict=True)
        ]
        read, weights = zip(*pairs, strict=True)
        return torch.cat(read), torch.cat(weights)
    attention = (_cosine(query, slots) / temperature).softmax(dim=1)
    return attention @ slots, attention


def random_slots(count: int, dim: int, norm: float = 1.0) -> Tensor:
    """Return ``count x dim`` random directions of length ``norm``, from torch's global generator.

    A bank starts so, with the mean length of the first batch's scene vectors as ``norm``.
    """
    return F.normalize(torch.randn(count, dim), dim=1) * norm


class MemoryBank:
    """Slots that follow the scene vectors of frames with a high quality score.

    A query whose score exceeds ``mean + kappa * std`` of the last ``HISTORY`` scores (the first
    ``WARM_UP`` are all accepted) moves the slot nearest to it by cosine:
    ``slot <- (1 - momentum) * slot + momentum * query`` (M2PN, dynamic memory bank). Values that
    are not finite are never accepted. All methods may be called from several threads.

    Args:
        slots: ``NxD`` slots to start from and to return to; copied.
        config: Mode, momentum and kappa.
        model_name: Network whose scene vectors these are; snapshots carry it.
        replace_after: For training: an accepted query takes the place of the slot that was not
            used for longest, once that is this many queries. Without it the few slots that are
            nearest first attract all queries, and the rest stay as they were drawn.
    """

    def __init__(
        self,
        slots: Tensor,
        config: MemoryConfig,
        model_name: str,
        *,
        momentum: float = MOMENTUM,
        kappa: float = KAPPA,
        replace_after: int | None = None,
    ) -> None:
        self._initial = slots.detach().float().clone()
        self._config = config
        self._model_name = model_name
        self._momentum, self._kappa = momentum, kappa
        self._replace_after = replace_after
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
    def slots(self) -> Tensor:
        """Current slots, ``NxD`` float32; a later update leaves this tensor as it is."""
        return self._slots

    @property
    def revision(self) -> int:
        """Number that grows with every change of slots or statistics."""
        return self._revision

    def reset(self) -> None:
        """Return to the initial slots and forget all statistics."""
        count = self._initial.shape[0]
        with self._lock:
            self._slots = self._initial
            self._history: deque[float] = deque(maxlen=HISTORY)
            self._accepted = self._rejected = 0
            self._uses, self._updates = [0] * count, [0] * count
            self._last_used = [-1] * count
            self._revision += 1

    @torch.no_grad()
    def update(self, query: Tensor, scores: Tensor) -> int | None:
        """Submit a batch of queries, in order; a frozen bank ignores them.

        Args:
            query: ``BxD`` scene vectors.
            scores: ``B`` quality scores.

        Returns:
            Index of the last slot that was updated, None when none was.
        """
        if self._config.mode == "frozen":
            return None
        vectors = query.detach().to(self._initial.device, torch.float32)
        updated = None
        # Leaving inference mode makes the new slots ordinary tensors, which training may use.
        with self._lock, torch.inference_mode(mode=False):
            for vector, score in zip(vectors, scores.tolist(), strict=True):
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
        return hashlib.sha256(self._initial.cpu().numpy().tobytes()).hexdigest()

    def snapshot(self) -> Snapshot:
        """Return slots, statistics and history as they are now."""
        with self._lock:
            return Snapshot(
                slots=self._slots.cpu().numpy(),
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
            self._slots = torch.tensor(snapshot.slots, device=self._initial.device)
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

    def _submit_query(self, vector: Tensor, score: float) -> int | None:
        """Count one query, update a slot when it is good; return that slot."""
        number = self._accepted + self._rejected
        if not (bool(vector.isfinite().all()) and math.isfinite(score)):
            self._rejected += 1
            return None
        threshold = self._threshold()
        self._history.append(score)
        slot = int(_cosine(vector[None], self._slots).argmax())
        self._uses[slot] += 1
        self._last_used[slot] = number
        if threshold is not None and score <= threshold:
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
        slots = self._slots.clone()
        slots[slot].lerp_(vector, share)
        self._slots = slots
        self._updates[slot] += 1
        return slot

    def _threshold(self) -> float | None:
        return score_threshold(self._accepted + self._rejected, self._history, self._kappa)


def _cosine(query: Tensor, slots: Tensor) -> Tensor:
    return F.normalize(query.float(), dim=1) @ F.normalize(slots.float(), dim=1).T
