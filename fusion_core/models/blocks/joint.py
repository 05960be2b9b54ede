"""The whole batch of a training step, where a process computes only a part of it.

What mixes the pictures of a batch (statistics, balance, noise drawn for all of them) must be that
of the whole batch, or a training would depend on the number of its processes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from torch import Tensor, nn


class JointBatch:
    """A batch that this process computes alone; subclasses share it among processes."""

    def own(self, whole: Tensor) -> Tensor:
        """Return the rows of this process, of a tensor of all rows."""
        return whole

    def gather(self, part: Tensor) -> Tensor:
        """Return all rows of the batch, in order, for the rows of this process.

        What is computed from them must be the same in every process.
        """
        return part

    def draw(self, sampler: Callable[[Tensor], Tensor], like: Tensor) -> Tensor:
        """Return random numbers for the rows of this process, drawn for the whole batch.

        Args:
            sampler: Returns random numbers of its argument's shape, as ``torch.randn_like`` does.
            like: Rows of this process.
        """
        return sampler(like)


WHOLE: Final = JointBatch()


class BatchMixer(nn.Module):
    """A module whose result for one picture depends on the others of a training batch."""

    joint: JointBatch = WHOLE
