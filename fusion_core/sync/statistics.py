"""Book-keeping of the synchroniser: where every frame went."""

from __future__ import annotations

from typing import Final

CAUSES: Final = (
    "no_partner",
    "unused",
    "too_old",
    "out_of_order",
    "duplicate",
    "overrun",
    "time_jump",
)


class SyncStatistics:
    """Counts of frames and pairs.

    Attributes:
        read: Frames pushed, by stream.
        used: Frames that were part of at least one pair, by stream.
        drops: Frames dropped, by cause; every cause is present.
        paired: Pairs given out.
    """

    def __init__(self) -> None:
        """Start with nothing read."""
        self.read: dict[str, int] = {"visible": 0, "thermal": 0}
        self.used: dict[str, int] = {"visible": 0, "thermal": 0}
        self.drops: dict[str, int] = dict.fromkeys(CAUSES, 0)
        self.paired = 0

    def drop(self, cause: str, count: int = 1) -> None:
        """Book frames that were dropped."""
        self.drops[cause] += count
