"""Prompts by region: what a part of the picture is like, said by its scene's graph."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fusion_core.models.blocks import CrossAttention, GraphAttention


class RegionPrompts(nn.Module):
    """Maps lose the mean of their region, and get what the region's prompt says instead.

    Per region, the bank's answer and the region's fused node ask the region's refined thermal and
    visible nodes; the question and what it hears are the region's prompt, which scales the maps'
    deviations from the region's mean and says what the mean is. How places of a region differ
    passes through the maps; what all of them have in common passes through the prompts alone.
    Between the centres of regions all is interpolated.

    Args:
        width: Channels of the maps.
        dim: Width of nodes and prompts.
        heads: Heads of the attention.
        places: Edge of a region in positions of the maps.
        graph: Ablation: graph attention refines the fused nodes.
    """

    def __init__(self, width: int, dim: int, heads: int, places: int, *, graph: bool) -> None:
        super().__init__()
        self.places = places
        self.node = nn.Linear(width, dim)
        self.fused_graph = GraphAttention(dim, heads) if graph else nn.Identity()
        self.prompt = RegionPrompt(dim, heads)
        self.affine = nn.Conv2d(dim, 2 * width, 1)

    def forward(self, maps: Tensor, query: Tensor, regions: list[Tensor]) -> Tensor:
        """Return the modulated ``BxCxhxw``.

        Args:
            maps: ``BxCxhxw``.
            query: ``BxD``, what the bank returned for the scene.
            regions: ``BxKxD`` refined nodes of the regions, row by row, thermal and visible.
        """
        means = means_of_regions(maps, self.places)
        fused = self.fused_graph(self._fused_nodes(means))[:, 1:]
        prompts = self.prompt(query, fused, regions, means.shape[-2:])
        gamma, beta = self.affine(prompts).chunk(2, dim=1)
        scale = gamma + 1
        shift = torch.addcmul(beta, scale, means, value=-1)
        # As the maps lie in memory: planes that follow one another take four times as long.
        coarse = torch.cat([scale, shift], 1).contiguous(memory_format=torch.channels_last)
        fine = F.interpolate(coarse, scale_factor=float(self.places), mode="bilinear")
        scale, shift = fine[..., : maps.shape[-2], : maps.shape[-1]].chunk(2, dim=1)
        return torch.addcmul(shift, maps, scale)

    def _fused_nodes(self, means: Tensor) -> Tensor:
        """Return the scene's node and those of the regions, which say how each differs from it."""
        scene = means.mean((2, 3))
        apart = (means - scene[:, :, None, None]).flatten(2).mT
        return torch.cat([self.node(scene)[:, None], F.linear(apart, self.node.weight)], 1)


class RegionPrompt(nn.Module):
    """The prompts of all regions: a region's fused node, and what it heard from two others.

    Args:
        dim: Width of nodes and prompts.
        heads: Heads of the attention.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.read = CrossAttention(dim, heads)

    def forward(
        self, query: Tensor, fused: Tensor, regions: list[Tensor], size: Sequence[int]
    ) -> Tensor:
        """Return ``BxDxhxw``, a prompt per region.

        Args:
            query: ``BxD``.
            fused: ``BxKxD`` fused nodes, row by row.
            regions: ``BxKxD`` nodes of each modality, row by row.
            size: Rows and columns of regions.
        """
        nodes = torch.stack(regions, 2).flatten(0, 1)
        asked = query[:, None] + fused
        heard = self.read(asked.reshape(-1, 1, query.shape[-1]), nodes)
        prompts: Tensor = fused + heard.reshape(fused.shape)
        return prompts.mT.reshape(len(query), -1, *size)


def means_of_regions(maps: Tensor, places: int) -> Tensor:
    """Return the means over squares of ``BxCxHxW``; the last ones may be smaller.

    With zeros around, and divided by the share of a square that is in the maps: OpenVINO does not
    pool what is smaller than a square.
    """
    around = F.pad(maps, (0, places - 1, 0, places - 1))
    rows, columns = (_inside(edge, places, maps) for edge in maps.shape[-2:])
    return F.avg_pool2d(around, places) / (rows[:, None] * columns)


def _inside(edge: int, places: int, like: Tensor) -> Tensor:
    """Return the share of each square that is inside of an edge, in (0, 1]."""
    starts = torch.arange(0, edge, places, device=like.device)
    return ((edge - starts).clamp(max=places) / places).to(like)
