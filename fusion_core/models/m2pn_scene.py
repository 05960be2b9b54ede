"""What all networks of M2PN share: nodes of a scene, the memory bank's answer, prompts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fusion_core.foundation.fingerprint import ADDED_LATER
from fusion_core.memory.retrieval import random_slots, retrieve, weigh_slots
from fusion_core.models.blocks import (
    ChannelModulation,
    CrossAttention,
    GraphAttention,
    convolve_mapped,
    runs_alone,
)
from fusion_core.models.features import Features
from fusion_core.models.luma import LumaFuser

MODALITIES: Final = ("thermal", "visible")
NO_REGIONS: Final[Mapping[str, Tensor]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class SceneConfig:
    """What the networks of M2PN have in common; the sizes are those of the smallest.

    Attributes:
        width: Channels of the maps that prompts modulate.
        dim: Width of nodes, prompts and memory slots.
        heads: Heads of every attention.
        slots: Slots of the memory bank.
        blocks: Prompt-guided convolutions.
        context_nodes: Ablation: graphs also hold the fused and the residual node.
        graph: Ablation: graph attention refines the modality nodes.
        memory: Ablation: prompts query with what the memory bank returns, not with the scene.
        prompts: Ablation: the decoder is modulated by prompts.
        places: Every place reads the memory bank, not the scene alone.
    """

    width: int = 16
    dim: int = 32
    heads: int = 4
    slots: int = 100
    blocks: int = 2
    context_nodes: bool = True
    graph: bool = True
    memory: bool = True
    prompts: bool = True
    places: bool = field(default=False, metadata=ADDED_LATER)


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
    """The convolution of a :class:`PromptBlock` alone: prompts come later, or not at all."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor, query: Tensor, context: Tensor) -> Tensor:  # noqa: ARG002
        """Convolve ``BxCxHxW``; the prompts are not used."""
        return F.relu_(self.conv(x))


class PlaceMemory(nn.Module):
    """Every place of the maps reads the memory bank, and goes on as what it has read.

    A place asks with a vector of its own; what it gets is the sum of the slots, weighed by their
    likeness to that (see :func:`retrieve`), brought to the width of the maps. The maps themselves
    do not pass: what the surroundings of a place decide, they decide through the bank.

    Args:
        width: Channels of the maps.
        dim: Width of the slots.
    """

    def __init__(self, width: int, dim: int) -> None:
        super().__init__()
        self.ask = nn.Linear(width, dim)
        self.tell = nn.Linear(dim, width, bias=False)

    def forward(self, maps: Tensor, slots: Tensor) -> Tensor:
        """Return what ``BxCxHxW`` read of slots ``NxD`` or ``BxNxD``, shaped as they are."""
        weights = weigh_slots(self.ask(maps.flatten(2).mT), slots.to(maps.device))
        read: Tensor = weights @ self.tell(slots.to(maps))
        return read.mT.reshape(maps.shape)


class SceneFuser(LumaFuser):
    """A network whose decoder is modulated by the scene and by what the memory bank returned.

    Means of feature maps are the nodes of a scene. Graph attention per modality refines the
    modality's node, the fused node reads the memory bank, and per decoder block a prompt made of
    the three modulates the maps (M2PN, section 3).

    Args:
        name: Name in the registry.
        config: Architecture.
    """

    features = Features(tasks=("vif",), gives="luma", uses_memory=True)
    config: SceneConfig

    def __init__(self, name: str, config: SceneConfig) -> None:
        super().__init__(name, config, random_slots(config.slots, config.dim))

    def build_scene(self, means: Mapping[str, int], *, prompted: bool = True) -> None:
        """Add nodes, graphs, the bank's ways in, and the blocks.

        Args:
            means: Width of the means that make each node.
            prompted: Prompts of the scene modulate the blocks, if there are prompts.
        """
        c = self.config
        self.node = nn.ModuleDict({name: nn.Linear(wide, c.dim) for name, wide in means.items()})
        if c.prompts and c.graph:
            self.thermal_graph = GraphAttention(c.dim, c.heads)
            self.visible_graph = GraphAttention(c.dim, c.heads)
        if c.prompts and c.memory:
            self.recall = nn.Linear(c.dim, c.dim)
        self.blocks = nn.ModuleList(
            PromptBlock(c.width, c.dim, c.heads) if prompted and c.prompts else PlainBlock(c.width)
            for _ in range(c.blocks)
        )
        reads = c.places and c.prompts and c.memory
        self.places = PlaceMemory(c.width, c.dim) if reads else None

    def nodes_of(
        self, means: Mapping[str, Tensor], regions: Mapping[str, Tensor] = NO_REGIONS
    ) -> tuple[dict[str, Tensor], list[Tensor]]:
        """Return the nodes of the scene and those of its regions.

        Args:
            means: ``BxC`` means over the picture that make the nodes of the scene.
            regions: ``BxKxD`` nodes of the regions in both modalities, which are in their graphs.

        Returns:
            The nodes ``BxD``, those of the modalities also refined; and the nodes of the regions,
            thermal and visible, refined where there is a graph; empty without regions.
        """
        nodes = {name: self.node[name](mean) for name, mean in means.items()}
        others = ("fused", "residual") if self.config.context_nodes else ()
        parts = []
        for name in MODALITIES:
            graph = torch.stack([nodes[name], *(nodes[other] for other in others)], 1)
            if regions:
                graph = torch.cat([graph, regions[name]], 1)
            if self.config.prompts and self.config.graph:
                graph = self.get_submodule(f"{name}_graph")(graph)
                nodes[f"{name}_graph"] = graph[:, 0]
            parts.append(graph[:, 1 + len(others) :])
        return nodes, parts if regions else []

    def read_bank(self, query: Tensor, slots: Tensor) -> tuple[Tensor, Tensor]:
        """Return the prompts' query ``BxD`` and the slots' weights ``BxN``."""
        if not (self.config.prompts and self.config.memory):
            return query, query.new_zeros(query.shape[0], slots.shape[-2])
        recalled, attention = retrieve(query, slots)
        return self.recall(recalled.to(query.dtype)), attention


def refined(nodes: Mapping[str, Tensor]) -> list[Tensor]:
    """Return the nodes of both modalities, refined where there is a graph."""
    return [nodes.get(f"{name}_graph", nodes[name]) for name in MODALITIES]
