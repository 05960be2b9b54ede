"""M2PN: a light convolutional fusion network, modulated by memory-bank and graph prompts."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fusion_core.memory.retrieval import random_slots, retrieve
from fusion_core.models.blocks import (
    BlendHead,
    ChannelModulation,
    CrossAttention,
    DenseEncoder,
    GraphAttention,
    PadToMultiple,
    channel_means,
    convolve_mapped,
    runs_alone,
)
from fusion_core.models.cues import Cues
from fusion_core.models.features import Features
from fusion_core.models.luma import LumaFuser
from fusion_core.models.outputs import LumaOutput

_PROMPT_BLOCKS = 3


@dataclass(frozen=True, slots=True)
class M2PNConfig:
    """Architecture of an M2PN network; the defaults are the full network.

    Attributes:
        growth: Channels per layer of the source encoders.
        layers: Layers of the source encoders.
        width: Channels of the decoder.
        tail: Channels of the convolutions between the decoder and the head.
        dim: Width of nodes, prompts and memory slots.
        heads: Heads of every attention.
        slots: Slots of the memory bank.
        down: Edge in pixels of the grid the features live on: 1 runs on the picture itself, more
            on its pixel-unshuffled form.
        levels: Levels of resolution on which the head works.
        context_nodes: Ablation: graphs also hold the fused and the residual node.
        graph: Ablation: graph attention refines the modality nodes.
        memory: Ablation: prompts query with what the memory bank returns, not with the scene.
        prompts: Ablation: the decoder is modulated by prompts.
    """

    growth: int = 16
    layers: int = 4
    width: int = 64
    tail: tuple[int, ...] = (32, 16)
    dim: int = 168
    heads: int = 4
    slots: int = 100
    down: int = 1
    levels: int = 2
    context_nodes: bool = True
    graph: bool = True
    memory: bool = True
    prompts: bool = True


FULL = M2PNConfig()
EDGE = M2PNConfig(growth=8, layers=3, width=16, tail=(16,), dim=64, down=2, levels=1)


class PromptBlock(nn.Module):
    """Prompt-guided modulation: prompt by cross-attention, AdaIN with residual, convolution.

    Args:
        width: Channels of the feature maps.
        dim: Width of the prompt.
        heads: Heads of the cross-attention.
    """

    def __init__(self, width: int, dim: int, heads: int) -> None:
        super().__init__()
        self.prompt = CrossAttention(dim, heads)
        self.modulation = ChannelModulation(dim, width, residual=True)
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor, query: Tensor, context: Tensor) -> Tensor:
        """Modulate ``BxCxHxW`` by the query ``BxD``, which reads the context ``BxSxD``."""
        prompt = self.prompt(query[:, None], context)[:, 0]
        if runs_alone(x):
            (scale,), (shift,) = self.modulation.affine_map(x, prompt)
            return F.relu_(convolve_mapped(x, scale, shift, self.conv))
        return F.relu_(self.conv(self.modulation(x, prompt)))


class PlainBlock(nn.Module):
    """The convolution of a :class:`PromptBlock` alone, for the ablation without prompts."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor, query: Tensor, context: Tensor) -> Tensor:  # noqa: ARG002
        """Convolve ``BxCxHxW``; the prompts are not used."""
        return F.relu_(self.conv(x))


class M2PN(LumaFuser):
    """The M2PN network, full (``m2pn``) or on a reduced grid (``m2pn-edge``).

    Encoders give feature maps of both sources, of their residual ``thermal - visible`` and of the
    pair; their global means are the nodes of a scene. Graph attention per modality refines the
    modality's node, the fused node reads the memory bank, and per decoder block a prompt made of
    the three modulates the feature maps (M2PN, section 3; sizes not given there are
    :class:`M2PNConfig`'s).

    Both end in :class:`BlendHead`, not in the paper's tanh of a convolution: the exact detail of
    both sources need not pass through the features, and the instance normalisation, which depends
    on the size of the picture, hardly changes the contrast of the result. Trained alike on crops, a
    network with the paper's head came out too contrasty on whole pictures. The head of the full
    network has two levels: at full resolution it learned to draw edges that no source has. The
    edge network, whose maps come from a coarser grid, gained nothing by a second one.

    The edge network has the same modules, narrower, on the pixel-unshuffled sources: a convolution
    there sees every pixel, unlike after pooling, at a quarter of the positions.

    Args:
        name: Name in the registry.
        config: Architecture.
    """

    features = Features(tasks=("vif",), gives="luma", uses_memory=True)
    config: M2PNConfig

    def __init__(self, name: str, config: M2PNConfig) -> None:
        super().__init__(name, config, random_slots(config.slots, config.dim))
        c, source = config, config.layers * config.growth
        pixels = c.down * c.down
        self.pad = PadToMultiple(max(c.down, c.levels))
        self.thermal_encoder = DenseEncoder(pixels, c.growth, c.layers)
        self.visible_encoder = DenseEncoder(pixels, c.growth, c.layers)
        self.merge = nn.Conv2d(2 * source, c.width, 3, padding=1)
        self.node = nn.ModuleDict(
            {
                "thermal": nn.Linear(source, c.dim),
                "visible": nn.Linear(source, c.dim),
                "fused": nn.Linear(c.width, c.dim),
            }
        )
        if c.context_nodes:
            self.residual_encoder = nn.Sequential(
                nn.Conv2d(pixels, c.growth, 3, stride=c.down, padding=1),
                nn.ReLU(inplace=True),
                nn.Conv2d(c.growth, source, 3, padding=1),
                nn.ReLU(inplace=True),
            )
            self.node["residual"] = nn.Linear(source, c.dim)
        if c.prompts and c.graph:
            self.thermal_graph = GraphAttention(c.dim, c.heads)
            self.visible_graph = GraphAttention(c.dim, c.heads)
        if c.prompts and c.memory:
            self.recall = nn.Linear(c.dim, c.dim)
        self.blocks = nn.ModuleList(
            PromptBlock(c.width, c.dim, c.heads) if c.prompts else PlainBlock(c.width)
            for _ in range(_PROMPT_BLOCKS)
        )
        tail: list[nn.Module] = []
        for fan_in, fan_out in zip((c.width, *c.tail), c.tail, strict=False):
            tail += [nn.Conv2d(fan_in, fan_out, 3, padding=1), nn.ReLU(inplace=True)]
        self.tail = nn.Sequential(*tail)
        self.head = BlendHead(c.tail[-1], c.down, c.levels)

    def fuse_luma(self, thermal: Tensor, visible: Tensor, slots: Tensor, cues: Cues) -> LumaOutput:  # noqa: ARG002
        """Fuse checked inputs; see :meth:`LumaFuser.fuse_luma`."""
        height, width = thermal.shape[-2:]
        thermal, visible = self.pad(thermal), self.pad(visible)
        maps, nodes = self._encode(thermal, visible)
        context = self._refine(nodes)
        query, attention = self._recall(nodes["fused"], slots)
        for block in self.blocks:
            maps = block(maps, query, context)
        fused = self.head(self.tail(maps), thermal, visible)
        return LumaOutput(
            fused[..., :height, :width], query=nodes["fused"], nodes=nodes, attention=attention
        )

    def _encode(self, thermal: Tensor, visible: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the pair's feature maps and the scene's nodes."""
        thermal, visible = self._to_grid(thermal), self._to_grid(visible)
        sources = torch.cat([*self.thermal_encoder(thermal), *self.visible_encoder(visible)], 1)
        fused = F.relu_(self.merge(sources))
        thermal_mean, visible_mean = channel_means(sources).chunk(2, dim=1)
        means = {"thermal": thermal_mean, "visible": visible_mean, "fused": channel_means(fused)}
        if self.config.context_nodes:
            means["residual"] = channel_means(self.residual_encoder(thermal - visible))
        return fused, {name: self.node[name](mean) for name, mean in means.items()}

    def _to_grid(self, x: Tensor) -> Tensor:
        if self.config.down > 1:
            x = F.pixel_unshuffle(x, self.config.down)
        return x.contiguous(memory_format=torch.channels_last)

    def _refine(self, nodes: dict[str, Tensor]) -> Tensor:
        """Add the graphs' results to the nodes; return the prompts' context ``Bx2xD``."""
        refined = []
        for modality in ("thermal", "visible"):
            if not (self.config.prompts and self.config.graph):
                refined.append(nodes[modality])
                continue
            others = ("fused", "residual") if self.config.context_nodes else ()
            graph = torch.stack([nodes[name] for name in (modality, *others)], 1)
            attend = self.thermal_graph if modality == "thermal" else self.visible_graph
            nodes[f"{modality}_graph"] = attend(graph)[:, 0]
            refined.append(nodes[f"{modality}_graph"])
        return torch.stack(refined, 1)

    def _recall(self, query: Tensor, slots: Tensor) -> tuple[Tensor, Tensor]:
        """Return the prompts' query ``BxD`` and the slots' weights ``BxN``."""
        if not (self.config.prompts and self.config.memory):
            return query, query.new_zeros(query.shape[0], slots.shape[-2])
        recalled, attention = retrieve(query, slots)
        return self.recall(recalled.to(query.dtype)), attention
