"""What a fusion network may be given beside the pictures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from fusion_core.errors import UsageError
from fusion_core.models.features import VISIBLE_INFRARED
from fusion_core.models.stream import StreamState

# Ten times the contrast of the prompts saturates any of them.
_LARGEST_ALPHA = 10.0
_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class TextCue:
    """A text as a network's own encoder gives it.

    Attributes:
        tokens: ``BxLxC`` tokens.
        mask: ``BxL`` bool, True where a token belongs to the text and is no padding.
    """

    tokens: Tensor
    mask: Tensor


@dataclass(frozen=True, slots=True)
class PromptEdit:
    """A change of a trained network's prompts, of which each is the share of a source in [0, 1].

    The first source's prompt ``p`` becomes ``0.5 + alpha (p - 0.5) + beta``, the second's
    ``0.5 + alpha (p - 0.5) - beta`` (TC-MoA, equation 8).

    Attributes:
        alpha: Contrast of the prompts in [0, 10]; 1 leaves them as they are.
        beta: Shift towards the first source in [-1, 1].
        task_mix: Task -> share of its routing in [0, 1], together 1; empty: the task alone.

    Raises:
        UsageError: A value is out of its range.
    """

    alpha: float = 1.0
    beta: float = 0.0
    task_mix: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ranges = [("alpha", self.alpha, 0.0, _LARGEST_ALPHA), ("beta", self.beta, -1.0, 1.0)]
        ranges += [
            (f"task_mix[{task!r}]", share, 0.0, 1.0) for task, share in self.task_mix.items()
        ]
        for name, value, low, high in ranges:
            if not low <= value <= high:
                raise UsageError(f"prompt edit: {name} = {value}: expected {low:g} to {high:g}")
        total = math.fsum(self.task_mix.values())
        if self.task_mix and abs(total - 1) > _TOLERANCE:
            raise UsageError(f"prompt edit: task_mix sums up to {total:g}: expected 1")


@dataclass(frozen=True, slots=True, eq=False)
class Cues:
    """What a network may be given beside the pictures; it gets only what it uses.

    Attributes:
        chroma: ``Bx2xHxW`` Cb and Cr of the first picture in [0, 1], 128/255 is grey; for networks
            that fuse luma, filled in from the first picture.
        tokens: ``BxSxC`` tokens of the scene prior.
        mask: ``Bx1xHxW`` in [0, 1], 1 marks what the result shall favour.
        task: What to fuse: ``vif``, ``mef`` or ``mff``.
        text: Text that describes the result.
        edit: Change of the network's prompts.
        memory: ``NxD`` slots of the memory bank; None reads the trained ones.
        stream: What the network keeps of the frames before; None: the pictures are by themselves.
        generator: Source of random numbers, on the pictures' device; None: torch's global one.
    """

    chroma: Tensor | None = None
    tokens: Tensor | None = None
    mask: Tensor | None = None
    task: str = VISIBLE_INFRARED
    text: TextCue | None = None
    edit: PromptEdit | None = None
    memory: Tensor | None = None
    stream: StreamState | None = None
    generator: torch.Generator | None = None


NO_CUES = Cues()
