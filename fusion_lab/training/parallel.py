"""One run in several processes: each computes a part of every batch.

Started by ``torchrun``, every process draws the whole batch of a step, runs the network on its own
rows, gathers what the network made of all rows and computes the losses of the whole batch from it.
So all that mixes pictures (contrastive terms, normalisation by counts, the memory) is as in one
process, and losses know nothing of processes. The gradients of the parts add up to that of the
batch; all weights stay equal, and the first process alone writes.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from types import FrameType
from typing import Any, Final, NoReturn

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F

from fusion_core.errors import FusionError, TrainingError, UsageError
from fusion_core.models.blocks.joint import WHOLE, BatchMixer, JointBatch

# The first process may validate or render for long while the others wait for it.
_PATIENCE = timedelta(hours=2)
_ENDED = "fusion/ended"
_ADVICE = "start it again with --resume to go on from its last checkpoint, in any number of them"


@dataclass(frozen=True, slots=True)
class Team:
    """The processes of a run.

    Attributes:
        rank: Number of this process, from 0.
        size: Processes of the run.
    """

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes, logs and validates."""
        return self.rank == 0

    def share(self, batch: int) -> JointBatch:
        """Return the share of this process in batches of so many rows.

        Raises:
            UsageError: There are fewer rows than processes.
        """
        if self.size == 1:
            return WHOLE
        if batch < self.size:
            raise UsageError(
                f"a batch of {batch} in {self.size} processes: at least one picture each is "
                "needed; start fewer processes"
            )
        return SharedBatch(self, batch)

    def align(self, tensors: Iterable[Tensor]) -> None:
        """Give all processes the tensors of the first one."""
        if self.size > 1:
            with _together(self):
                for tensor in tensors:
                    sent = tensor.detach().clone(memory_format=torch.contiguous_format)
                    dist.broadcast(sent, 0)
                    tensor.detach().copy_(sent)

    def mean_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace the gradients by their mean over the processes.

        A parameter that no process used keeps none, so that the optimiser passes it over.
        """
        if self.size == 1:
            return
        learning = [p for p in parameters if p.requires_grad]
        used = torch.tensor(
            [float(p.grad is not None) for p in learning], device=learning[0].device
        )
        with _together(self):
            dist.all_reduce(used, dist.ReduceOp.MAX)
            learning = [p for p, any_used in zip(learning, used.tolist(), strict=True) if any_used]
            for parameter in learning:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
            gradients = [p.grad for p in learning if p.grad is not None]
            joined = torch.cat([gradient.flatten() for gradient in gradients])
            dist.all_reduce(joined)
        joined /= self.size
        means = torch.split(joined, [gradient.numel() for gradient in gradients])
        for gradient, mean in zip(gradients, means, strict=True):
            gradient.copy_(mean.view(gradient.shape))

    def leader_first(self, work: Callable[[], None]) -> None:
        """Let the first process do what writes files, while the others wait for it."""
        if self.leads:
            work()
        if self.size > 1:
            with _together(self):
                dist.barrier()


ALONE: Final = Team()


class SharedBatch(JointBatch):
    """Batches of which this process computes neighbouring rows, as many as the others or one less.

    Args:
        team: The processes.
        size: Rows of the whole batch.
    """

    def __init__(self, team: Team, size: int) -> None:
        self.team, self.size = team, size
        edges = [rank * size // team.size for rank in range(team.size + 1)]
        self.lengths = [end - start for start, end in itertools.pairwise(edges)]
        self.rows = slice(edges[team.rank], edges[team.rank + 1])

    def own(self, whole: Tensor) -> Tensor:
        """Return the rows of this process."""
        return whole[self.rows]

    def gather(self, part: Tensor) -> Tensor:
        """Return the rows of all processes, with the gradient of the mean over their losses."""
        gathered: Tensor = _Gather.apply(part, self)  # type: ignore[no-untyped-call]
        return gathered

    def draw(self, sampler: Callable[[Tensor], Tensor], like: Tensor) -> Tensor:
        """Draw for all rows, in the layout of a whole batch, and keep those of this process."""
        whole = like.detach().new_empty_strided((self.size, *like.shape[1:]), like.stride())
        return self.own(sampler(whole))


class _Gather(torch.autograd.Function):
    """Concatenate the rows of all processes.

    Each process computes the same loss from the result and passes on the gradient of its own rows;
    as the gradients of the parameters are averaged, it counts once per process.
    """

    @staticmethod
    def forward(ctx: Any, part: Tensor, batch: SharedBatch) -> Tensor:  # noqa: ANN401
        ctx.batch = batch
        longest = part.new_zeros(max(batch.lengths), *part.shape[1:])
        longest[: len(part)] = part
        parts = [torch.empty_like(longest) for _ in batch.lengths]
        with _together(batch.team):
            dist.all_gather(parts, longest)
        return torch.cat([p[:length] for p, length in zip(parts, batch.lengths, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        batch: SharedBatch = ctx.batch
        return gradients[0][batch.rows] * batch.team.size, None


def share_batch(network: nn.Module, joint: JointBatch) -> None:
    """Let the modules that mix pictures or draw noise see the whole batch."""
    for module in network.modules():
        if isinstance(module, BatchMixer):
            module.joint = joint
        for name, child in module.named_children():
            if isinstance(child, nn.Dropout) and joint is not WHOLE:
                setattr(module, name, _SharedDropout(child.p, joint))


class _SharedDropout(nn.Module):
    """Dropout whose noise is drawn for the whole batch."""

    def __init__(self, share: float, joint: JointBatch) -> None:
        super().__init__()
        self.share, self.joint = share, joint

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        return x * self.joint.draw(lambda rows: F.dropout(torch.ones_like(rows), self.share), x)


@contextmanager
def joined(device: str) -> Iterator[tuple[Team, str]]:
    """Join the processes that ``torchrun`` started, and name the device of this one.

    When they end early, one of them says why.

    Args:
        device: ``cpu`` or ``cuda``.

    Yields:
        The team, and the torch device of this process; alone and ``device`` without ``torchrun``.

    Raises:
        UsageError: There are more processes than GPUs.
        TrainingError: Another process is gone, or all are told to end.
    """
    if not dist.is_torchelastic_launched() or os.environ.get("WORLD_SIZE") == "1":
        yield ALONE, device
        return
    from torch.distributed.rendezvous import rendezvous

    store, rank, size = next(rendezvous("env://", timeout=_PATIENCE))
    previous = signal.signal(signal.SIGTERM, _told_to_end)
    try:
        own_device = _own_device(device)
        backend = "gloo" if device == "cpu" else "cpu:gloo,cuda:nccl"
        dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=_PATIENCE)
        yield Team(rank, size), own_device
        dist.destroy_process_group()
        signal.signal(signal.SIGTERM, previous)
    except (FusionError, KeyboardInterrupt) as error:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it ends anyway, and says why itself
        if not _speaks(store):
            raise SystemExit(getattr(error, "exit_code", 1)) from None
        if rank:
            sys.stderr.write("\n")  # below the bar of the first process
        raise


def _own_device(device: str) -> str:
    if device == "cpu":
        return device
    local, count = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
    if local >= count:
        raise UsageError(
            f"process {local + 1} of this machine: there are {count} GPUs here; "
            f"start torchrun with --nproc-per-node {count} or give --device cpu"
        )
    torch.cuda.set_device(local)
    return f"cuda:{local}"


def _speaks(store: Any) -> bool:  # noqa: ANN401 - torch does not name its type
    """Return whether this process is the first to end early; the store may be gone as well."""
    try:
        return bool(store.add(_ENDED, 1) == 1)
    except RuntimeError:
        return True


def _told_to_end(_number: int, _frame: FrameType | None) -> NoReturn:
    raise TrainingError(f"one of the run's processes has ended early, so all end; {_ADVICE}")


@contextmanager
def _together(team: Team) -> Iterator[None]:
    """Turn the failure of what all processes do together into one line."""
    try:
        yield
    except RuntimeError as error:
        reason = str(error).strip().partition("\n")[0]
        raise TrainingError(
            f"one of the run's {team.size} processes is gone ({reason}); {_ADVICE}"
        ) from None
