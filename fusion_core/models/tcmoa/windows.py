"""Attention inside windows of a token grid, every second time inside rolled ones."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

from fusion_core.models.blocks.constants import kept_for_sizes

EDGE: Final = 14
"""Longest edge of a window in tokens."""
_NEVER: Final = -1e4  # a logit that half precision holds and that no softmax shows


class Windows:
    """Windows of one token grid.

    Windows are as even as the grid allows, and 14 places high and wide where it is a multiple of
    that; the grid is filled up with empty places to whole windows. Where windows are rolled, those
    at the border would join tokens of opposite sides; such tokens, and empty places, do not see
    each other.

    Args:
        rows: Rows of the grid.
        columns: Its columns.
        rolled: Windows begin half a window further right and down.
    """

    def __init__(self, rows: int, columns: int, *, rolled: bool) -> None:
        self.rows, self.columns = rows, columns
        self._down, self._right = -(-rows // EDGE), -(-columns // EDGE)
        self._high, self._wide = -(-rows // self._down), -(-columns // self._right)
        # One window has nothing to exchange with others.
        self._shift = tuple(
            edge // 2 if rolled and number > 1 else 0
            for edge, number in ((self._high, self._down), (self._wide, self._right))
        )

    def split(self, tokens: Tensor) -> Tensor:
        """Return ``(B windows) x T x C`` of ``BxNxC``."""
        batch, width = len(tokens), tokens.shape[2]
        grid = tokens.reshape(batch, self.rows, self.columns, width)
        bottom = self._down * self._high - self.rows
        right = self._right * self._wide - self.columns
        grid = F.pad(grid, (0, 0, 0, right, 0, bottom))
        if any(self._shift):
            grid = grid.roll([-shift for shift in self._shift], (1, 2))
        grid = grid.reshape(batch, self._down, self._high, self._right, self._wide, width)
        return grid.transpose(2, 3).reshape(-1, self._high * self._wide, width)

    def join(self, windows: Tensor) -> Tensor:
        """Return ``BxNxC`` of what :meth:`split` gave."""
        width = windows.shape[2]
        grid = windows.reshape(-1, self._down, self._right, self._high, self._wide, width)
        grid = grid.transpose(2, 3)
        grid = grid.reshape(-1, self._down * self._high, self._right * self._wide, width)
        if any(self._shift):
            grid = grid.roll(self._shift, (1, 2))
        return grid[:, : self.rows, : self.columns].flatten(1, 2)

    def logits(self, table: Tensor | None, windows: Tensor) -> Tensor | None:
        """Return what is added to the logits, that broadcasts to ``(B windows) x heads x T x T``.

        Args:
            table: ``(2 EDGE - 1)^2 x heads`` by the way from one place to another, or None.
            windows: What :meth:`split` gave, for its batch, device and type.
        """
        bias = None
        if table is not None:
            places = _ways(self._high, self._wide).to(table.device)
            bias = table[places].permute(2, 0, 1).to(windows)[None]
        barred = _barred((self.rows, self.columns), (self._high, self._wide), self._shift)
        if barred is None:
            return bias
        logits = barred.to(windows)[:, None]
        if bias is not None:
            logits = logits + bias
        return logits.repeat(len(windows) // len(barred), 1, 1, 1)


@kept_for_sizes(16)
def _barred(
    grid: tuple[int, int], window: tuple[int, int], shift: tuple[int, ...]
) -> Tensor | None:
    """Return ``windows x T x T`` logits that keep apart what does not belong together."""
    full = [-(-edge // step) * step for edge, step in zip(grid, window, strict=True)]
    if not any(shift) and tuple(full) == grid:
        return None
    empty = torch.ones(full, dtype=torch.long)
    empty[: grid[0], : grid[1]] = 0
    empty = empty.roll([-edge for edge in shift], (0, 1))
    # What was rolled over the border is another part of the picture.
    wrapped = [
        (torch.arange(edge) >= edge - moved).long() for edge, moved in zip(full, shift, strict=True)
    ]
    regions = 4 * empty + 2 * wrapped[0][:, None] + wrapped[1]
    down, right = full[0] // window[0], full[1] // window[1]
    cells = regions.reshape(down, window[0], right, window[1])
    flat = cells.transpose(1, 2).reshape(down * right, -1)
    return (flat[:, :, None] != flat[:, None, :]) * _NEVER


@kept_for_sizes(16)
def _ways(high: int, wide: int) -> Tensor:
    """Return ``TxT`` rows of a table of ``(2 EDGE - 1)^2``: from which place to which."""
    rows, columns = torch.meshgrid(torch.arange(high), torch.arange(wide), indexing="ij")
    rows, columns = rows.flatten(), columns.flatten()
    down = rows[:, None] - rows + EDGE - 1
    right = columns[:, None] - columns + EDGE - 1
    return down * (2 * EDGE - 1) + right
