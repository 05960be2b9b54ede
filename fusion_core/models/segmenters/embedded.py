"""A small segmenter that is trained together with the fusion and ships with its weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fusion_core.models.blocks.attention import CrossAttention
from fusion_core.models.blocks.padding import PadToMultiple
from fusion_core.models.blocks.reference_prompts import sine_position

_LAYERS = 2
# Before training the marked region is found with probability .95.
_EVIDENCE = 3.0


class TwoWayLayer(nn.Module):
    """Tokens attend to each other and to the picture, then the picture to the tokens.

    A layer of the mask decoder of Segment Anything (Kirillov et al. 2023, appendix A).

    Args:
        dim: Width of tokens and cells.
        heads: Heads of every attention.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.among = CrossAttention(dim, heads)
        self.look = CrossAttention(dim, heads)
        self.think = nn.Sequential(nn.Linear(dim, 2 * dim), nn.ReLU(), nn.Linear(2 * dim, dim))
        self.tell = CrossAttention(dim, heads)
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(4))

    def forward(self, tokens: Tensor, cells: Tensor) -> tuple[Tensor, Tensor]:
        """Return tokens ``BxTxD`` and cells ``BxSxD``."""
        among, look, think, tell = self.norms
        tokens = among(tokens + self.among(tokens, tokens))
        tokens = look(tokens + self.look(tokens, cells))
        tokens = think(tokens + self.think(tokens))
        return tokens, tell(cells + self.tell(cells, tokens))


class EmbeddedSegmenter(nn.Module):
    """Convolutions to 1/16 of the picture, a two-way decoder there, and the way back to 1/4.

    The map of logits is the product of a mask token, after it has read prompts and picture, with
    the features of every pixel, as in Segment Anything; the given mask adds to it, by a trained
    amount, which is not in the paper.

    Args:
        dim: Width of the prompts; a multiple of ``heads`` and of four.
        heads: Heads of every attention.
        width: Channels at a quarter of the picture; doubled at each halving down to 1/8.
        down: Edge in pixels of a cell of the logits: 1, 2 or 4.
    """

    def __init__(self, dim: int, heads: int, width: int, down: int) -> None:
        super().__init__()
        self.dim = dim
        self.down = down
        self.evidence = nn.Parameter(torch.tensor(_EVIDENCE))
        self.pad = PadToMultiple(16)
        self.quarter = nn.Conv2d(4, width, 3, stride=2, padding=1)
        self.eighth = nn.Sequential(
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1),
            nn.ReLU(inplace=True),
        )
        self.sixteenth = nn.Sequential(
            nn.Conv2d(2 * width, dim, 3, stride=2, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(dim, dim, 3, padding=2, dilation=2),
            nn.ReLU(inplace=True),
            nn.Conv2d(dim, dim, 3, padding=1),
        )
        self.token = nn.Parameter(torch.randn(1, dim) * dim**-0.5)
        self.layers = nn.ModuleList(TwoWayLayer(dim, heads) for _ in range(_LAYERS))
        self.up = nn.Linear(dim, 2 * width)
        self.from_eighth = nn.Conv2d(2 * width, 2 * width, 1)
        self.merge = nn.Conv2d(2 * width, width, 3, padding=1)
        self.from_quarter = nn.Conv2d(width, width, 1)
        self.hyper = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, width + 1))

    def forward(self, reference: Tensor, mask: Tensor, prompts: Tensor) -> Tensor:
        """Return logits ``BxKxhxw``; see :class:`Segmenter`."""
        picture = self.pad(reference)
        sets = prompts.shape[1]
        quarter = F.relu_(self.quarter(F.pixel_unshuffle(picture, 2)))
        eighth = self.eighth(quarter)
        deep = self.sixteenth(eighth)
        rows, columns = deep.shape[-2:]
        position = sine_position(rows, columns, self.dim).to(deep)
        cells = (deep.flatten(2).transpose(1, 2) + position).repeat_interleave(sets, 0)
        tokens = torch.cat([self.token.expand(len(cells), -1, -1), prompts.flatten(0, 1)], 1)
        for layer in self.layers:
            tokens, cells = layer(tokens, cells)
        maps = self.up(cells).transpose(1, 2).unflatten(2, (rows, columns))
        maps = F.relu_(_double(maps) + self.from_eighth(eighth).repeat_interleave(sets, 0))
        maps = _double(self.merge(maps))
        maps = F.relu_(maps + self.from_quarter(quarter).repeat_interleave(sets, 0))
        weights = self.hyper(tokens[:, 0])
        logits = torch.einsum("bchw,bc->bhw", maps, weights[:, :-1]) + weights[:, -1, None, None]
        own = F.interpolate(
            logits.float().unflatten(0, (-1, sets)),
            scale_factor=4 // self.down,
            mode="bilinear",
            align_corners=False,
        )
        rows, columns = (-(-edge // self.down) for edge in reference.shape[-2:])
        marked = F.avg_pool2d(mask.float(), self.down, ceil_mode=True)
        found: Tensor = own[..., :rows, :columns] + self.evidence * (2 * marked - 1)
        return found


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
