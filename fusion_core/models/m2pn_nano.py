"""M2PN-nano: what to take from where is decided on a coarse grid, pixels come from the sources."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fusion_core.memory.retrieval import random_slots, retrieve
from fusion_core.models.blocks import AffineHead, GraphAttention, PadToMultiple, channel_means
from fusion_core.models.cues import Cues
from fusion_core.models.features import Features
from fusion_core.models.luma import LumaFuser
from fusion_core.models.m2pn import PromptBlock
from fusion_core.models.outputs import LumaOutput

_MOMENTS = 3  # of the difference of both sources: mean, mean magnitude, mean square


@dataclass(frozen=True, slots=True)
class NanoConfig:
    """Architecture.

    Attributes:
        stem: Channels per source on the grid.
        width: Channels of the decision's maps on the grid.
        dim: Width of nodes, prompts and memory slots.
        heads: Heads of every attention.
        slots: Slots of the memory bank.
        blocks: Prompt-guided convolutions.
        down: Edge in pixels of the grid.
    """

    stem: int = 8
    width: int = 16
    dim: int = 32
    heads: int = 4
    slots: int = 100
    blocks: int = 2
    down: int = 4


class CellStem(nn.Module):
    """Features of a grid's cells, one of which is the mean of the cell.

    A convolution sees a cell and half a cell around it. That the mean is one of its filters saves a
    pass over the picture.

    Args:
        channels: Features, the mean included.
        down: Edge of a cell in pixels.
    """

    mean: Tensor

    def __init__(self, channels: int, down: int) -> None:
        super().__init__()
        self.down = down
        self.conv = nn.Conv2d(1, channels - 1, 2 * down, stride=down, padding=down // 2)
        mean = torch.zeros(1, 1, 2 * down, 2 * down)
        half = slice(down // 2, down // 2 + down)
        mean[..., half, half] = 1 / down**2
        self.register_buffer("mean", mean, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``BxCxH/downxW/down``, at least 0, of ``Bx1xHxW`` in [0, 1]; the mean is last."""
        assert self.conv.bias is not None, "the convolution has a bias"
        weight = torch.cat([self.conv.weight, self.mean])
        bias = F.pad(self.conv.bias, (0, 1))
        return F.relu_(F.conv2d(x, weight, bias, self.down, self.down // 2))


class M2PNNano(LumaFuser):
    """The parts of M2PN on a sixteenth of the positions and less, and a head of local affine maps.

    A strided convolution per source gives maps on the grid; means of these, of their difference and
    of the joined maps are the nodes of the scene. Graph attention refines the nodes, the fused node
    reads the memory bank. Prompts made of the refined nodes and of what the bank returned modulate
    maps on half of the grid, which see the surroundings; the head works on the grid.

    Args:
        name: Name in the registry.
        config: Architecture.
    """

    features = Features(tasks=("vif",), gives="luma", uses_memory=True)
    config: NanoConfig

    def __init__(self, name: str, config: NanoConfig) -> None:
        super().__init__(name, config, random_slots(config.slots, config.dim))
        c = config
        self.pad = PadToMultiple(2 * c.down)
        self.thermal_stem = CellStem(c.stem, c.down)
        self.visible_stem = CellStem(c.stem, c.down)
        self.merge = nn.Conv2d(2 * c.stem, c.width, 3, padding=1)
        self.shrink = nn.Conv2d(c.width, c.width, 3, stride=2, padding=1)
        self.node = nn.ModuleDict(
            {
                "thermal": nn.Linear(c.stem, c.dim),
                "visible": nn.Linear(c.stem, c.dim),
                "fused": nn.Linear(c.width, c.dim),
                "residual": nn.Linear(_MOMENTS, c.dim),
            }
        )
        self.thermal_graph = GraphAttention(c.dim, c.heads)
        self.visible_graph = GraphAttention(c.dim, c.heads)
        self.recall = nn.Linear(c.dim, c.dim)
        self.blocks = nn.ModuleList(PromptBlock(c.width, c.dim, c.heads) for _ in range(c.blocks))
        self.head = AffineHead(c.width, c.dim, c.down)

    def fuse_luma(self, thermal: Tensor, visible: Tensor, slots: Tensor, cues: Cues) -> LumaOutput:  # noqa: ARG002
        """Fuse checked inputs; see :meth:`LumaFuser.fuse_luma`."""
        height, width = thermal.shape[-2:]
        # The maps are so small that conversions would cost more than half precision saves.
        with torch.autocast(thermal.device.type, enabled=False):
            thermal, visible = self.pad(thermal.float()), self.pad(visible.float())
            hot, seen = self.thermal_stem(thermal), self.visible_stem(visible)
            maps, nodes = self._encode(hot, seen)
            recalled, attention = retrieve(nodes["fused"], slots)
            query = self.recall(recalled)
            context = torch.stack([nodes["thermal_graph"], nodes["visible_graph"], query], 1)
            wide = F.relu_(self.shrink(maps))
            for block in self.blocks:
                wide = block(wide, query, context)
            wide = F.interpolate(wide, scale_factor=2.0, mode="bilinear")
            means = hot[:, -1:], seen[:, -1:]
            fused = self.head(F.relu_(wide.add_(maps)), query, means, thermal, visible)
        return LumaOutput(
            fused[..., :height, :width], query=nodes["fused"], nodes=nodes, attention=attention
        )

    def _encode(self, hot: Tensor, seen: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the pair's maps and the scene's nodes, those of the sources also refined."""
        stems = torch.cat([hot, seen], 1).contiguous(memory_format=torch.channels_last)
        maps = F.relu_(self.merge(stems))
        thermal, visible = channel_means(stems).chunk(2, dim=1)
        residual = hot[:, -1:] - seen[:, -1:]
        moments = (residual, residual.abs(), residual * residual)
        vectors = {
            "thermal": thermal,
            "visible": visible,
            "fused": channel_means(maps),
            "residual": torch.cat([moment.mean((2, 3)) for moment in moments], 1),
        }
        nodes = {name: self.node[name](vector) for name, vector in vectors.items()}
        for name, attend in (("thermal", self.thermal_graph), ("visible", self.visible_graph)):
            graph = torch.stack([nodes[name], nodes["fused"], nodes["residual"]], 1)
            nodes[f"{name}_graph"] = attend(graph)[:, 0]
        return maps, nodes
