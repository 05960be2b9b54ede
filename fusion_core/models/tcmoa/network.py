"""TC-MoA: one network that fuses visible and thermal pictures, exposures and focus distances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from fusion_core.foundation import FrozenModel
from fusion_core.models.base import Fuser
from fusion_core.models.blocks.padding import PadToMultiple
from fusion_core.models.colour import attach_luma, luma_of
from fusion_core.models.cues import NO_CUES, Cues, PromptEdit
from fusion_core.models.features import VISIBLE_INFRARED, Features
from fusion_core.models.outputs import FuserOutput, SourceShares
from fusion_core.models.requirements import check_pictures
from fusion_core.models.tcmoa.backbone import PATCH, MaskedAutoencoder
from fusion_core.models.tcmoa.config import CHOSEN, TASKS, TCMoAConfig, TCMoAOptions
from fusion_core.models.tcmoa.decision import (
    Decision,
    blend,
    cascade,
    edited_shares,
    mean_of_tokens,
    ruled,
    settled,
    shares,
)
from fusion_core.models.tcmoa.embedded import EMBEDDED_MAE, REAL_MAE
from fusion_core.models.tcmoa.evidence import at_tokens, clues
from fusion_core.models.tcmoa.prompt_layer import Edit
from fusion_core.models.tcmoa.pyramids import (
    box,
    collapse,
    gaussian,
    halvings,
    laplacian,
    resize,
)
from fusion_core.models.tcmoa.streams import Streams, Told
from fusion_core.runtime.settings import Settings

_MOST_PICTURES = 9
# Shorter edge of the coarsest scale. Where a blend ends earlier it shows halos of that width.
_SMALLEST_CHOICE, _SMALLEST_BLEND = 8, 2
_FIRM = 4.0  # of prompts that choose: few tokens shall take some of both pictures
_AROUND = 4  # radius in pixels within which detail makes a choice sure
_CERTAIN = 1e-4  # prompts nearer to 0 or 1 say no more than this
# Clues of both pictures of all pairs, per scale ``B(N-1) x CLUESxhxw``, the finest first.
_Sides: TypeAlias = tuple[list[Tensor], list[Tensor]]


class Decided(NamedTuple):
    """Everything that the network makes of ``B`` sets of ``N`` pictures.

    Attributes:
        image: ``Bx3xHxW`` RGB, not clipped.
        shares: Per scale ``BxNxhxw`` shares of the pictures, brightest first unless the task is
            ``vif``, the finest scale first; empty where the decoder paints the picture.
        told: What the layers say of the pairs of neighbours, ``B (N - 1)`` of them.
        gates: ``B(N-1) x tokens x E`` of the deciding adapters.
        balance: Sum of all layers' balance losses.
        grid: Rows and columns of the tokens.
        order: ``BxN`` indices of the given pictures in the order of ``shares``.
        weighed: ``B(N-1) x tokens``: share of the first picture of each pair that the evidence
            alone would give a token; None where the decoder paints the picture.
    """

    image: Tensor
    shares: list[Tensor]
    told: Told
    gates: Tensor
    balance: Tensor
    grid: tuple[int, int]
    order: Tensor
    weighed: Tensor | None = None


class TCMoA(Fuser):
    """Fuse two or more pictures of one of three tasks.

    Both pictures go through a frozen masked autoencoder; between its blocks, adapters that all
    tasks share and that each task's routers choose give every token a prompt: the share of each
    source (TC-MoA, section 3). In the paper the decoder paints the picture. Here the prompts of
    all layers decide which source a token takes, one more layer of routed adapters which of its
    pixels differ from that, and the pixels are the sources' own: see :class:`Decision`.

    Exposures and focus distances are put in order of their brightness, so that the result does
    not depend on the order in which they are given. Neighbours are compared, and what speaks for
    one adds up along the row.

    Args:
        name: Name in the registry.
        config: Architecture.
    """

    features = Features(tasks=TASKS, gives="rgb", uses_edit=True, max_pictures=_MOST_PICTURES)
    Options = TCMoAOptions
    options: TCMoAOptions
    config: TCMoAConfig

    def __init__(self, name: str, config: TCMoAConfig) -> None:
        super().__init__(name, config)
        c = config
        self.mae = FrozenModel(EMBEDDED_MAE if c.backbone == "embedded" else REAL_MAE)
        self.pad = PadToMultiple(PATCH)
        self.streams = Streams(c)
        self.decision = (
            Decision(c.mae.decoder_width, c.evidence, c.experts, c.chosen)
            if c.result == "pixels"
            else None
        )

    def configure(self, options: Settings) -> None:
        """Set the options; see :meth:`Fuser.configure`."""
        super().configure(options)
        if self.options.mae_weights:
            self.mae.weights = self.options.mae_weights

    def fuse(self, first: Tensor, second: Tensor, cues: Cues) -> FuserOutput:
        """Fuse checked inputs; see :meth:`Fuser.forward`."""
        return _output(self.decide((first, second), cues))

    def fuse_many(self, pictures: Sequence[Tensor], cues: Cues = NO_CUES) -> FuserOutput:
        """Fuse all pictures at once; see :meth:`Fuser.fuse_many`."""
        named = {f"picture {number}": p for number, p in enumerate(pictures, start=1)}
        check_pictures(self.name, 3, **named)
        complete = self.complete_cues(pictures[0], cues)
        if cues.task == VISIBLE_INFRARED or self.decision is None:
            return super().fuse_many(pictures, cues)
        return _output(self.decide(pictures, complete))

    def decide(self, pictures: Sequence[Tensor], cues: Cues) -> Decided:
        """Fuse and return everything, for training and analysis.

        Args:
            pictures: Two or more of ``Bx3xHxW`` RGB in [0, 1], with ``vif`` the visible one first.
            cues: Task and change of the prompts.
        """
        edit = self._edit(cues)
        stack = torch.stack([picture.float() for picture in pictures], 1)
        order = _order(stack, cues.task)
        stack = stack.take_along_dim(order[:, :, None, None, None], 1)
        routing = edit.task_mix or {cues.task: 1.0}
        if self.decision is None:
            return self._paint(stack, order, edit, routing)
        return self._choose(stack, order, edit, routing, cues.task)

    def trainable_share(self) -> float:
        """Return the share of what is trained in all parameters, the frozen ones included."""
        own = self.parameter_count()
        frozen: MaskedAutoencoder = self.mae.model
        return own / (own + sum(parameter.numel() for parameter in frozen.parameters()))

    def _edit(self, cues: Cues) -> PromptEdit:
        """Return how the prompts are changed: as the cues say, else as the options say."""
        if cues.edit is not None:
            return cues.edit
        o = self.options
        mix: dict[str, float] = {}
        if o.mix_task not in {"", cues.task}:
            mix = {cues.task: 1 - o.mix, o.mix_task: o.mix}
        return PromptEdit(o.alpha, o.beta, mix)

    def _tell(
        self,
        stack: Tensor,
        sides: _Sides,
        routing: Mapping[str, float],
        edit: Edit | None,
    ) -> tuple[Told, tuple[int, int]]:
        """Let the layers see all pairs of neighbours of ``BxNx3xHxW``."""
        pairs = [part.flatten(0, 1) for part in (stack[:, :-1], stack[:, 1:])]
        if self.config.upsample > 1:
            pairs = [
                F.interpolate(
                    part, scale_factor=self.config.upsample, mode="bilinear", align_corners=False
                )
                for part in pairs
            ]
        padded = [self.pad(part) for part in pairs]
        grid = padded[0].shape[-2] // PATCH, padded[0].shape[-1] // PATCH
        seen = at_tokens(sides, grid) if self.config.clued else None
        told: Told = self.streams(self.mae.model, *padded, grid, routing, edit=edit, seen=seen)
        return told, grid

    def _choose(
        self,
        stack: Tensor,
        order: Tensor,
        edit: PromptEdit,
        routing: Mapping[str, float],
        task: str,
    ) -> Decided:
        """Let prompts and evidence decide which pictures make a pixel.

        The autoencoder runs in half precision where the caller asks for it; what decides does not.
        """
        assert self.decision is not None
        smallest = _SMALLEST_CHOICE if task == CHOSEN else _SMALLEST_BLEND
        height, width = stack.shape[-2:]
        with _exactly(stack):
            sides = _sides(stack, halvings(height, width, smallest))
        told, grid = self._tell(stack, sides, routing, None)
        with _exactly(stack):
            seen = at_tokens(sides, grid)
            verdict = self.decision((told.first, told.second), grid, sides, routing, seen=seen)
            evidence = verdict.whole
            if task == CHOSEN:
                evidence = cascade(verdict.logits, _guides(sides))
            edge = PATCH // self.config.upsample
            weighed = mean_of_tokens(evidence, edge).flatten(1).sigmoid()
            if self.config.adapter == "prompts":
                asked = _odds(told.prompts).reshape(-1, 1, *grid)
                evidence = ruled(evidence, _FIRM * asked if task == CHOSEN else asked, edge)
            whole = _scores(evidence, stack.shape[1])
            if task == CHOSEN:
                parts = [settled(shares(whole), _detail(stack))]
            else:
                details = [_scores(level, stack.shape[1]) for level in verdict.logits]
                parts = blend(whole, details)
            is_first = order == 0
            parts = [edited_shares(part, edit.alpha, edit.beta, is_first) for part in parts]
            image = _join(stack, parts, task)
        balance = told.balance + verdict.balance
        return Decided(image, parts, told, verdict.gates, balance, grid, order, weighed)

    def _paint(
        self, stack: Tensor, order: Tensor, edit: PromptEdit, routing: Mapping[str, float]
    ) -> Decided:
        """Let the decoder paint the picture of two, as in the paper."""
        beta = torch.where(order[:, 0] == 0, edit.beta, -edit.beta)
        changed = edit.alpha != 1 or edit.beta != 0
        high, wide = stack.shape[-2:]
        steps = halvings(high, wide, _SMALLEST_BLEND)
        with _exactly(stack):
            sides = _sides(stack, steps) if self.config.clued else ([], [])
        told, grid = self._tell(stack, sides, routing, Edit(edit.alpha, beta) if changed else None)
        mae: MaskedAutoencoder = self.mae.model
        painted = mae.picture(told.first, *grid).float()
        height, width = (edge * self.config.upsample for edge in stack.shape[-2:])
        image = F.interpolate(
            painted[..., :height, :width],
            stack.shape[-2:],
            mode="bilinear",
            align_corners=False,
            antialias=True,
        )
        gates = told.gates[:, -1]
        return Decided(image, [], told, gates, told.balance, grid, order)


def _output(made: Decided) -> FuserOutput:
    decision = partial(_decision, made) if made.shares else None
    return FuserOutput(made.image.clamp(0, 1), decision=decision)


def _decision(made: Decided) -> SourceShares:
    """Return the shares of the pictures in the order in which they were given."""
    number = made.order.shape[1]
    as_given = made.order.argsort(1)[:, :, None, None]
    pixels = torch.stack([resize(level, made.image) for level in made.shares]).mean(0)
    odds = _odds(made.told.prompts).reshape(-1, 1, *made.grid)
    prompted = _scores(odds, number).softmax(1)
    return SourceShares(pixels.take_along_dim(as_given, 1), prompted.take_along_dim(as_given, 1))


def _exactly(stack: Tensor) -> torch.autocast:
    """Return a context of float32, whatever the caller's precision."""
    return torch.autocast(stack.device.type, enabled=False)


def _odds(prompts: Tensor) -> Tensor:
    """Return ``BxN`` logits of the first source's share, mean over all layers' ``BxLxNx2``."""
    odds = prompts.float().clamp(_CERTAIN, 1 - _CERTAIN).logit()
    return (odds[..., 0] - odds[..., 1]).mean(1) / 2


def _guides(sides: _Sides) -> list[Tensor]:
    """Return per scale the mean luma of both pictures of each pair."""
    return [(one[:, :1] + other[:, :1]) / 2 + 0.5 for one, other in zip(*sides, strict=True)]


def _detail(stack: Tensor) -> Tensor:
    """Return ``Bx1xHxW``: change of luma to the next pixels, that of the picture with the most."""
    luma = luma_of(stack.flatten(0, 1))
    across = F.pad(luma.diff(dim=-1).abs(), (0, 1))
    down = F.pad(luma.diff(dim=-2).abs(), (0, 0, 0, 1))
    most = _split(across + down, stack.shape[1]).amax(1)
    return box(most, _AROUND)


def _order(stack: Tensor, task: str) -> Tensor:
    """Return ``BxN`` indices of the pictures: visible first, else the brightest first."""
    batch, number = stack.shape[:2]
    if task == VISIBLE_INFRARED:
        return torch.arange(number, device=stack.device).expand(batch, -1)
    brightness = stack.mean((2, 3, 4))
    return brightness.argsort(dim=1, descending=True)


def _sides(stack: Tensor, steps: int) -> _Sides:
    """Return the clues of the first and the second picture of all pairs of neighbours."""
    found = [_split(level, stack.shape[1]) for level in clues(stack.flatten(0, 1), steps)]
    first, second = (
        [level[:, side].flatten(0, 1) for level in found]
        for side in (slice(None, -1), slice(1, None))
    )
    return first, second


def _scores(logits: Tensor, number: int) -> Tensor:
    """Return ``BxNxhxw`` scores whose differences of neighbours are ``B(N-1) x 1xhxw`` logits."""
    steps = _split(logits, number - 1)[:, :, 0]
    last = torch.zeros_like(steps[:, :1])
    return torch.cat((steps.flip(1).cumsum(1).flip(1), last), 1)


def _join(stack: Tensor, parts: Sequence[Tensor], task: str) -> Tensor:
    """Return ``Bx3xHxW`` of ``BxNx3xHxW`` pictures and their shares.

    Shares of one scale weigh the pixels, those of several the pictures' details at each scale.
    """
    flat, number = stack.flatten(0, 1), stack.shape[1]
    if task == VISIBLE_INFRARED:
        flat = luma_of(flat)
    details = laplacian(gaussian(flat, len(parts) - 1))
    joined = [
        (part[:, :, None] * _split(detail, number)).sum(1)
        for part, detail in zip(parts, details, strict=True)
    ]
    whole = collapse(joined)
    return attach_luma(stack[:, 0], whole.clamp(0, 1)) if task == VISIBLE_INFRARED else whole


def _split(x: Tensor, number: int) -> Tensor:
    """Return ``BxNx...`` of ``(B N)x...``."""
    return x.reshape(-1, number, *x.shape[1:])
