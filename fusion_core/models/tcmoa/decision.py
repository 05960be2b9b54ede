"""From tokens to pixels: which source makes each pixel, at each scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fusion_core.models.tcmoa.adapters import TaskAdapters
from fusion_core.models.tcmoa.config import CHOSEN, TASKS
from fusion_core.models.tcmoa.evidence import CLUES, EXPOSURE_CLUES, Evidence
from fusion_core.models.tcmoa.pyramids import gaussian, guided, halve, resize

SCALES: Final = 6
"""Sets of weights: of four scales of details, of what is left of them, and of pixels as a whole."""
_LEFT, _WHOLE = 4, 5
_WIDTH, _HIDDEN = 64, 32
# Before training: weights of detail where pictures are blended or chosen, and of luma, exposure and
# saturation in pixels as a whole.
_SOFT, _HARD = 0.25, 0.5
_EXPOSURE = (0.0, 3.0, 1.0)
_LEANING = 2.0  # of a task's router to its half of the adapters, before training
_RADIUS, _FLAT = 3, 2e-3
_LIMIT: Final = 12.0  # of what is said for a source; its share is then exactly 1
_LEAST: Final = 1e-4
_DETAIL: Final = 0.04  # change of luma from which on what is decided is sure
_COARSEST: Final = 4
_DECIDED: Final = 0.05  # a share nearer to 0 or 1 than this is none, or all


class Verdict(NamedTuple):
    """What the tokens make of the evidence.

    Attributes:
        logits: Per scale ``Bx1xhxw``, the finest first: what speaks for the first source.
        whole: ``Bx1xHxW``: what speaks for its pixels as a whole.
        gates: ``BxNxE`` of the adapters.
        balance: Loss that keeps the adapters in balance.
    """

    logits: list[Tensor]
    whole: Tensor
    gates: Tensor
    balance: Tensor


class Decision(nn.Module):
    """Every token weighs the kinds of evidence of its pixels, by routed adapters of its own.

    The logit of a pixel is ``c_0 + sum_k c_k (e_k(first) - e_k(second))``: the coefficients ``c``
    are what the adapters, chosen by the task's router, make of the token. What the pixels of a
    token take on average is not decided here but by the prompts, see :func:`ruled`. Not in the
    paper, whose decoder paints the picture.

    Args:
        width: Channels of the decoder's tokens.
        kinds: Kinds of evidence.
        experts: Adapters.
        chosen: Adapters that work for one token.
    """

    def __init__(self, width: int, kinds: int, experts: int, chosen: int) -> None:
        super().__init__()
        self.kinds = kinds
        self.evidence = Evidence(kinds)
        self.enter = nn.LayerNorm(2 * width)
        self.reduce = nn.Linear(2 * width + 2 * CLUES, _WIDTH)
        self.norm = nn.LayerNorm(_WIDTH)
        self.adapters = TaskAdapters(
            _WIDTH, _HIDDEN, SCALES * (kinds + 1), experts, chosen, lean=True
        )
        _start(self.adapters, kinds)

    def forward(
        self,
        streams: tuple[Tensor, Tensor],
        grid: tuple[int, int],
        found: tuple[Sequence[Tensor], Sequence[Tensor]],
        routing: Mapping[str, float],
        *,
        seen: Tensor,
    ) -> Verdict:
        """Weigh the evidence.

        Args:
            streams: ``BxNxC`` tokens of both sources behind the decoder.
            grid: Rows and columns of the tokens.
            found: Per source the clues of each scale, the finest first.
            routing: Task -> share of its routing.
            seen: The clues as the tokens see them, see :func:`at_tokens`.
        """
        first, second = found
        steps = len(first) - 1
        joined = torch.cat((self.enter(torch.cat(streams, -1).float()), seen), -1)
        mixed = self.adapters(self.norm(self.reduce(joined)), routing)
        said = mixed.answer.transpose(1, 2).unflatten(1, (SCALES, -1)).unflatten(-1, grid)
        differ = [self.evidence(a) - self.evidence(b) for a, b in zip(first, second, strict=True)]

        def logit(level: int, weights: int) -> Tensor:
            here = resize(said[:, weights], differ[level])
            weighed: Tensor = (here[:, : self.kinds] * differ[level]).sum(1, keepdim=True)
            return weighed + here[:, self.kinds :].sum(1, keepdim=True)

        scales = [min(level, _LEFT - 1) for level in range(steps)] + [_LEFT]
        logits = [logit(level, weights) for level, weights in enumerate(scales)]
        return Verdict(logits, logit(0, _WHOLE), mixed.gates, mixed.balance)


@torch.no_grad()
def _start(adapters: TaskAdapters, kinds: int) -> None:
    """Let every adapter take the source of more detail, and weigh pixels as Mertens et al. 2007 do.

    Half of the adapters blend softly, the others choose. Tasks that blend lean to these, the one
    that chooses to those.
    """
    number = len(adapters.experts)
    for index, expert in enumerate(adapters.experts):
        start = torch.zeros(SCALES, kinds + 1)
        soft = index < (number + 1) // 2
        start[:, EXPOSURE_CLUES:CLUES] = _SOFT if soft else _HARD
        start[_WHOLE, :EXPOSURE_CLUES] = torch.tensor(_EXPOSURE)
        assert isinstance(expert, nn.Sequential)
        expert[-1].bias.copy_(start.flatten())  # type: ignore[operator]
    assert adapters.lean is not None
    for row, task in enumerate(TASKS):
        half = slice(number // 2, None) if task == CHOSEN else slice(0, (number + 1) // 2)
        adapters.lean[row, half] = _LEANING


def cascade(logits: Sequence[Tensor], guides: Sequence[Tensor]) -> Tensor:
    """Return one ``Bx1xHxW`` logit per pixel of those of all scales, along the edges of guides.

    Args:
        logits: Per scale ``Bx1xhxw``, the finest first.
        guides: Per scale the luma ``Bx1xhxw`` in [0, 1].
    """
    total = torch.zeros_like(logits[-1])
    for here, guide in zip(reversed(logits), reversed(guides), strict=True):
        total = resize(total, here) + here
        total = _LIMIT * torch.tanh(total / _LIMIT)
        total = guided(total, guide, _RADIUS, _FLAT)
    return total


def mean_of_tokens(evidence: Tensor, edge: int) -> Tensor:
    """Return ``Bx1xhxw``, the mean over each token's pixels of ``Bx1xHxW``.

    Args:
        evidence: What speaks for the first source in each pixel.
        edge: Edge of a token in pixels; tokens at the border may be cut off.
    """
    height, width = evidence.shape[-2:]
    return F.avg_pool2d(
        F.pad(evidence, (0, -width % edge, 0, -height % edge), mode="replicate"), edge
    )


def ruled(evidence: Tensor, asked: Tensor, edge: int) -> Tensor:
    """Return ``Bx1xHxW`` logits: tokens take what is asked, evidence decides inside them only.

    Args:
        evidence: What speaks for the first source in each pixel.
        asked: ``Bx1xhxw`` logits of the tokens.
        edge: Edge of a token in pixels.
    """
    height, width = evidence.shape[-2:]
    change = asked - mean_of_tokens(evidence, edge)
    smooth = F.interpolate(change, scale_factor=edge, mode="bilinear", align_corners=False)
    return evidence + smooth[..., :height, :width]


def blend(whole: Tensor, scores: Sequence[Tensor]) -> list[Tensor]:
    """Return the shares of each picture per scale, ``BxNxhxw``, the finest first.

    The shares of whole pixels, averaged to each scale, keep the scales together, as in a blend of
    pyramids (Burt, Adelson 1983); what speaks for a picture's details at a scale moves them there.

    Args:
        whole: ``BxNxHxW`` scores of whole pixels.
        scores: Per scale ``BxNxhxw`` scores of details; those of the last are not used.
    """
    levels = gaussian(whole.softmax(1), len(scores) - 1)
    logs = [level.clamp_min(_LEAST).log() for level in levels]
    details = zip(logs[:-1], scores[:-1], strict=True)
    return [shares(log + score) for log, score in details] + [shares(logs[-1])]


def shares(scores: Tensor) -> Tensor:
    """Return the share of each picture in each pixel, sum 1; clear decisions are exact.

    Args:
        scores: ``BxNxhxw`` of ``N`` pictures.
    """
    soft = scores.softmax(1)
    decided = ((soft - _DECIDED) / (1 - 2 * _DECIDED)).clamp(0, 1)
    return decided / decided.sum(1, keepdim=True)


def settled(share: Tensor, detail: Tensor) -> Tensor:
    """Return shares that follow those of the detail around where there is none.

    Two focus settings differ in tone in flat places, too, and what decides there is noise: borders
    between the pictures show as steps. A pixel with little detail takes the mean of what surely is
    decided around it, over as wide a surround as it takes (push-pull, Gortler et al. 1996).

    Args:
        share: ``BxNxHxW`` shares of ``N`` pictures, sum 1.
        detail: ``Bx1xHxW`` mean change of luma from pixel to pixel around a pixel, in [0, 1].
    """
    filled = _filled(share, (detail / _DETAIL).clamp(0, 1).square())
    return filled / filled.sum(1, keepdim=True)


def _filled(share: Tensor, sure: Tensor) -> Tensor:
    """Return shares where they are sure, and else those of half the size, filled likewise."""
    if min(share.shape[-2:]) <= _COARSEST:
        return share
    there = halve(sure)
    around = halve(share * sure) / there.clamp_min(torch.finfo(share.dtype).tiny)
    # Of four pixels one that is sure is enough.
    coarse = _filled(torch.where(there > 0, around, halve(share)), (4 * there).clamp(max=1))
    return sure * share + (1 - sure) * resize(coarse, share)


def edited_shares(share: Tensor, alpha: float, beta: float, first: Tensor) -> Tensor:
    """Return changed shares of ``N`` pictures; of two they follow TC-MoA, eq. 8.

    Args:
        share: ``BxNxhxw``.
        alpha: Contrast of the shares.
        beta: Shift towards the first picture.
        first: ``BxN`` bool, True for the first picture.
    """
    if alpha == 1 and beta == 0:
        return share
    number = share.shape[1]
    shift = torch.where(first, beta, -beta / (number - 1))[..., None, None]
    changed = (1 / number + alpha * (share - 1 / number) + shift).clamp(0, 1)
    return changed / changed.sum(1, keepdim=True).clamp_min(1e-6)
