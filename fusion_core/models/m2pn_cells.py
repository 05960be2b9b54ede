"""M2PN on cells: decisions are made on a coarse grid, pixels come from the sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fusion_core.foundation.fingerprint import ADDED_LATER
from fusion_core.models.blocks import (
    AffineHead,
    FineAffineHead,
    PadToMultiple,
    apply_maps,
    channel_means,
)
from fusion_core.models.cues import Cues
from fusion_core.models.m2pn_regions import RegionPrompts, means_of_regions
from fusion_core.models.m2pn_scene import MODALITIES, SceneConfig, SceneFuser, refined
from fusion_core.models.outputs import LumaOutput

_MOMENTS = 3  # of the difference of both sources: mean, mean magnitude, mean square


@dataclass(frozen=True, slots=True)
class CellsConfig(SceneConfig):
    """Architecture; the defaults are the smallest network.

    Attributes:
        stem: Channels per source on the grid.
        down: Edge in pixels of the grid.
        finer: Decisions along the edge of a cell.
        regions: Edge in pixels of the regions that have prompts; 0: the scene has.
    """

    stem: int = 8
    down: int = 4
    finer: int = 1
    regions: int = field(default=0, metadata=ADDED_LATER)


EDGE = CellsConfig(stem=16, width=32, dim=64, blocks=3, finer=2, places=True, regions=64)
NANO = CellsConfig()


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


class M2PNCells(SceneFuser):
    """The parts of M2PN on a sixteenth of the positions and less, and a head of local affine maps.

    A strided convolution per source gives maps on the grid; means of these, of their difference and
    of the joined maps are the nodes of the scene. Prompts made of the refined nodes and of what the
    bank returned modulate maps on half of the grid, which see the surroundings; the head works on
    the grid, or on parts of its cells, and hears what the bank returned as well.

    Args:
        name: Name in the registry.
        config: Architecture.
    """

    config: CellsConfig

    def __init__(self, name: str, config: CellsConfig) -> None:
        super().__init__(name, config)
        c = config
        self.pad = PadToMultiple(2 * c.down)
        self.thermal_stem = CellStem(c.stem, c.down)
        self.visible_stem = CellStem(c.stem, c.down)
        self.merge = nn.Conv2d(2 * c.stem, c.width, 3, padding=1)
        self.shrink = nn.Conv2d(c.width, c.width, 3, stride=2, padding=1)
        means = {"thermal": c.stem, "visible": c.stem, "fused": c.width}
        means |= {"residual": _MOMENTS} if c.context_nodes else {}
        self.build_scene(means, prompted=not c.regions)
        self.region_prompts = None
        if c.regions and c.prompts:
            self.deviation = nn.ModuleDict(
                {name: nn.Linear(c.stem, c.dim, bias=False) for name in MODALITIES}
            )
            places = c.regions // (2 * c.down)
            self.region_prompts = RegionPrompts(c.width, c.dim, c.heads, places, graph=c.graph)
        head = FineAffineHead if c.finer > 1 else AffineHead
        self.head = head(c.width, c.dim if c.prompts else 0)

    def fuse_luma(self, thermal: Tensor, visible: Tensor, slots: Tensor, cues: Cues) -> LumaOutput:  # noqa: ARG002
        """Fuse checked inputs; see :meth:`LumaFuser.fuse_luma`."""
        height, width = thermal.shape[-2:]
        # The maps are so small that conversions would cost more than half precision saves.
        with torch.autocast(thermal.device.type, enabled=False):
            thermal, visible = self.pad(thermal.float()), self.pad(visible.float())
            hot, seen = self.thermal_stem(thermal), self.visible_stem(visible)
            maps, nodes, regions = self._encode(hot, seen)
            query, attention = self.read_bank(nodes["fused"], slots)
            context = torch.stack([*refined(nodes), query], 1)
            wide = F.relu_(self.shrink(maps))
            for block in self.blocks:
                wide = block(wide, query, context)
            if self.region_prompts is not None:
                wide = self.region_prompts(wide, query, regions)
            if self.places is not None:
                wide = self.places(wide, slots)
            wide = F.interpolate(wide, scale_factor=2.0, mode="bilinear")
            means = hot[:, -1:], seen[:, -1:]
            if self.config.finer > 1:
                edge = self.config.down // self.config.finer
                means = F.avg_pool2d(thermal, edge), F.avg_pool2d(visible, edge)
            coefficients = self.head(F.relu_(wide.add_(maps)), query, means)
            fused = apply_maps(coefficients, thermal, visible)[..., :height, :width]
        return LumaOutput(
            fused,
            maps=coefficients,
            query=nodes["fused"],
            nodes=nodes,
            attention=attention,
        )

    def _encode(self, hot: Tensor, seen: Tensor) -> tuple[Tensor, dict[str, Tensor], list[Tensor]]:
        """Return the pair's maps, the scene's nodes and those of its regions."""
        stems = torch.cat([hot, seen], 1).contiguous(memory_format=torch.channels_last)
        maps = F.relu_(self.merge(stems))
        thermal, visible = channel_means(stems).chunk(2, dim=1)
        means = {"thermal": thermal, "visible": visible, "fused": channel_means(maps)}
        if self.config.context_nodes:
            residual = hot[:, -1:] - seen[:, -1:]
            moments = (residual, residual.abs(), residual * residual)
            means["residual"] = torch.cat([moment.mean((2, 3)) for moment in moments], 1)
        own = {} if self.region_prompts is None else self._regions_of(stems, means)
        return maps, *self.nodes_of(means, own)

    def _regions_of(self, stems: Tensor, means: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the nodes of the regions: how each differs from the scene."""
        coarse = means_of_regions(stems, self.config.regions // self.config.down)
        return {
            name: self.deviation[name]((part - means[name][:, :, None, None]).flatten(2).mT)
            for name, part in zip(MODALITIES, coarse.chunk(2, dim=1), strict=True)
        }
