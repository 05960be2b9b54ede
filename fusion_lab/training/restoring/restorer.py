"""The first half of a cascade: a plain network that restores the visible picture alone.

Only comparisons use it: restore, then fuse, against doing both at once.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fusion_core.models import Cues, Features, LumaFuser, LumaOutput
from fusion_core.models.blocks import PadToMultiple, ResidualBlock
from fusion_core.models.blocks.heads import shuffle
from fusion_core.models.mdaif import Restored

_STRIDE = 16


@dataclass(frozen=True, slots=True)
class RestorerConfig:
    """Architecture: widths and residual blocks at strides 2, 4, 8 and 16."""

    widths: tuple[int, ...] = (32, 64, 128, 192)
    blocks: tuple[int, ...] = (3, 2, 2, 2)


class Restorer(LumaFuser):
    """U-Net of residual blocks on the pixel-unshuffled visible picture; adds what it finds.

    It has about as many parameters as ``mdaif`` and sees neither thermal picture nor prior.
    """

    features = Features(gives="luma", uses_chroma=True)
    config: RestorerConfig

    def __init__(self) -> None:
        super().__init__("restorer", RestorerConfig())
        widths, blocks = self.config.widths, self.config.blocks
        steps = list(itertools.pairwise(widths))
        self.pad = PadToMultiple(_STRIDE)
        self.enter = nn.Conv2d(12, widths[0], 3, padding=1)
        self.levels = nn.ModuleList(
            nn.Sequential(*(ResidualBlock(width) for _ in range(count)))
            for width, count in zip(widths, blocks, strict=True)
        )
        self.down = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in steps)
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in steps)
        self.out = nn.ModuleList(ResidualBlock(a) for a, _ in steps)
        self.head = nn.Conv2d(widths[0], 12, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def fuse_luma(self, thermal: Tensor, visible: Tensor, slots: Tensor, cues: Cues) -> LumaOutput:  # noqa: ARG002
        """Return the restored visible picture; the thermal one is not looked at."""
        made = self.restore(thermal, visible, cues)
        return LumaOutput(made.fused[:, :1], chroma=made.fused[:, 1:])

    def restore(self, thermal: Tensor, visible: Tensor, cues: Cues) -> Restored:
        """Restore the visible picture, in the form in which `MdaIF` gives what it restores."""
        assert cues.chroma is not None, "restores colour pictures"
        colour = torch.cat((visible, cues.chroma), 1)
        x = F.pixel_unshuffle(self.pad(colour - 0.5), 2)
        x = self.enter(x.contiguous(memory_format=torch.channels_last))
        skips = []
        for level, down in zip(self.levels, self.down, strict=False):
            x = level(x)
            skips.append(x)
            x = F.relu(down(x))
        x = self.levels[-1](x)
        for up, out, skip in zip(
            reversed(self.up), reversed(self.out), reversed(skips), strict=True
        ):
            x = out(up(x) + skip)
        height, width = visible.shape[-2:]
        found = colour + shuffle(self.head(x), 2)[..., :height, :width].float()
        none = visible.new_zeros(len(visible), 0, 0)
        return Restored(found.clamp(0, 1), found[:, :1], thermal, none, none, visible.new_zeros(()))

    def orthonormality(self) -> Tensor:
        """Return zero: it has no prototypes."""
        return torch.zeros(())
