"""A network's work on a GPU, recorded once per size and started with one call."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Any, Final

import torch
from torch import Tensor

from fusion_core.engine.torch_pictures import NetworkTensors
from fusion_core.models import Cues

_log = logging.getLogger(__name__)
_WARM_UP: Final = 3
_KEPT: Final = 4
_TENSORS: Final = ("chroma", "tokens", "mask", "memory")

Forward = Callable[[Tensor, Tensor, Cues], NetworkTensors]


@dataclass(slots=True)
class _Recording:
    """One CUDA graph with the memory that it reads and writes."""

    graph: torch.cuda.CUDAGraph
    visible: Tensor
    hot: Tensor
    cues: Cues
    made: NetworkTensors

    def replay(self, visible: Tensor, hot: Tensor, cues: Cues) -> NetworkTensors:
        self.visible.copy_(visible)
        self.hot.copy_(hot)
        for held, given in zip(_given(self.cues), _given(cues), strict=True):
            held.copy_(given)
        self.graph.replay()
        return self.made


class GraphedForward:
    """Runs a network through CUDA graphs; what cannot be recorded runs as it is.

    The results are in memory that the next call with inputs of the same sizes writes again.

    Args:
        forward: Runs the network on the pictures and the cues.
    """

    def __init__(self, forward: Forward) -> None:
        self._forward = forward
        self._recordings: dict[Hashable, _Recording | None] = {}

    def __call__(self, visible: Tensor, hot: Tensor, cues: Cues) -> NetworkTensors:
        """Run the network; see ``Engine.forward``."""
        if cues.text is not None or cues.edit is not None or cues.stream is not None:
            return self._forward(visible, hot, cues)
        key = tuple(
            (name, None if tensor is None else tuple(tensor.shape))
            for name, tensor in (("visible", visible), ("hot", hot), *_named(cues))
        )
        if key not in self._recordings:
            while len(self._recordings) >= _KEPT:
                del self._recordings[next(iter(self._recordings))]
            self._recordings[key] = self._recorded(visible, hot, cues)
        recording = self._recordings[key]
        if recording is None:
            return self._forward(visible, hot, cues)
        return recording.replay(visible, hot, cues)

    def _recorded(self, visible: Tensor, hot: Tensor, cues: Cues) -> _Recording | None:
        """Return a recording for inputs of these sizes, None where the network allows none."""
        try:
            return record(self._forward, visible, hot, cues)
        except RuntimeError as error:
            reason = str(error).partition("\n")[0]
            _log.info("no CUDA graph, the network runs step by step: %s", reason)
            return None


def record(forward: Forward, visible: Tensor, hot: Tensor, cues: Cues) -> _Recording:
    """Record the network's work.

    Raises:
        RuntimeError: What it does depends on values that the GPU has to compute first.
    """
    visible, hot = visible.clone(), hot.clone()
    copies: dict[str, Any] = {
        name: tensor.clone() for name, tensor in _named(cues) if tensor is not None
    }
    cues = replace(cues, **copies)
    for _ in range(_WARM_UP):
        forward(visible, hot, cues)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    if cues.generator is not None:
        graph.register_generator_state(cues.generator)
    with torch.cuda.graph(graph):
        made = forward(visible, hot, cues)
    return _Recording(graph, visible, hot, cues, made)


def _named(cues: Cues) -> list[tuple[str, Tensor | None]]:
    return [(name, getattr(cues, name)) for name in _TENSORS]


def _given(cues: Cues) -> list[Tensor]:
    return [tensor for _, tensor in _named(cues) if tensor is not None]
