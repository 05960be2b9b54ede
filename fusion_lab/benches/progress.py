"""A bar for what takes long."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from tqdm import tqdm

ItemT = TypeVar("ItemT")


def with_progress(items: Sequence[ItemT], label: str) -> Iterator[ItemT]:
    """Iterate with a bar on a terminal, and without one elsewhere."""
    yield from tqdm(items, desc=label, leave=False, dynamic_ncols=True, disable=None)
