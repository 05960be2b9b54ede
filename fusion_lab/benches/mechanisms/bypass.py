"""Ways around a part of a network, and what is measured with and without the part."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn
from torch.nn import functional as F

from fusion_core.models import Cues, Fuser

Random = np.random.Generator
Change = Callable[[nn.Module, Any, Any], Any]
"""Returns what stands for the output of a module, given the module, its inputs and its output."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One pair with all that its network may be given.

    Attributes:
        thermal: ``1x1xHxW`` in [0, 1]; of networks of other tasks too the second picture,
            ``1x3xHxW`` RGB.
        visible: ``1x1xHxW`` luma in [0, 1], or the first picture, ``1x3xHxW`` RGB.
        cues: Chroma, prior, mask.
        reference: What the figure compares with, as its system takes it.
        kind: Samples of different kinds are measured apart, such as the tasks of one network.
            A part that exists for one kind is diluted in the mean of all.
    """

    thermal: Tensor
    visible: Tensor
    cues: Cues
    reference: Any = None
    kind: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """What a network made of a sample.

    Attributes:
        fused: ``HxW`` luma in [0, 1].
        figure: What the system exists for, larger is better.
    """

    fused: Tensor
    figure: float


def _as_it_is(cues: Cues, _other: Cues, _network: Any, _rng: Random) -> Cues:  # noqa: ANN401
    return cues


def _always(_network: object) -> bool:
    return True


def _untouched(
    _network: Any,  # noqa: ANN401
    _run_other: Callable[[], object],
    _rng: Random,
) -> AbstractContextManager[None]:
    return nullcontext()


@dataclass(frozen=True, slots=True)
class Bypass:
    """One way around one part.

    Attributes:
        part: What is passed by, as the system names it.
        how: What stands in its place.
        hold: Takes the network, what runs it on another sample, and a random generator; while its
            result is entered the part is passed by.
        cues: Takes a sample's cues, another's, the network and a random generator; returns the
            cues that the network gets.
        random: Depends on the seed; else one run says all.
        has: Takes the network, returns whether it has the part.
    """

    part: str
    how: str
    hold: Callable[[Any, Callable[[], object], Random], AbstractContextManager[None]] = _untouched
    cues: Callable[[Cues, Cues, Any, Random], Cues] = _as_it_is
    random: bool = False
    has: Callable[[Any], bool] = _always


@dataclass(frozen=True, slots=True)
class System:
    """The parts of one kind of network, and how to measure what they are for.

    Attributes:
        network: Its class.
        figure: Name and unit of the figure.
        read: Reads up to so many samples below the folder of recordings.
        run: Runs the network on a sample with other cues.
        bypasses: Ways around its parts.
        mixed: Another sample is one of any kind, as where the kinds are weathers; else one of the
            same kind, as where they are tasks.
    """

    network: type[Fuser]
    figure: str
    read: Callable[[Path, int], Sequence[Sample]]
    run: Callable[[Any, Sample, Cues], Made]
    bypasses: tuple[Bypass, ...]
    mixed: bool = False


@contextmanager
def replaced(modules: Iterable[nn.Module], change: Change) -> Iterator[None]:
    """Let every module give what ``change`` makes of its output."""
    with ExitStack() as stack:
        for module in modules:
            stack.callback(module.register_forward_hook(change).remove)
        yield


@contextmanager
def replayed(modules: Sequence[nn.Module], run_other: Callable[[], object]) -> Iterator[None]:
    """Let every module give what it gives on another sample; maps are stretched to this one's."""
    seen: dict[nn.Module, Any] = {}

    def keep(module: nn.Module, _inputs: object, output: object) -> None:
        seen[module] = output

    with replaced(modules, keep):
        run_other()
    with replaced(modules, lambda module, _inputs, output: _stretched(seen[module], output)):
        yield


def _stretched(other: Any, own: Any) -> Any:  # noqa: ANN401
    """Return what another sample gave, ``BxCxHxW`` of it at the size of this sample's."""
    if isinstance(other, Tensor) and other.ndim == 4 and other.shape != own.shape:
        return F.interpolate(other, own.shape[-2:], mode="bilinear")
    return other
