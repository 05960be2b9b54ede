"""M2PN: a light convolutional fusion network, modulated by memory-bank and graph prompts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fusion_core.foundation.fingerprint import ADDED_LATER
from fusion_core.models.blocks import (
    BlendHead,
    DenseEncoder,
    PadToMultiple,
    TanhHead,
    channel_means,
)
from fusion_core.models.cues import Cues
from fusion_core.models.m2pn_scene import SceneConfig, SceneFuser, refined
from fusion_core.models.outputs import LumaOutput


@dataclass(frozen=True, slots=True)
class M2PNConfig(SceneConfig):
    """Architecture of an M2PN network; the defaults are the full network.

    Attributes:
        growth: Channels per layer of the source encoders.
        layers: Layers of the source encoders.
        tail: Channels of the convolutions between the decoder and the head.
        down: Edge in pixels of the grid the features live on: 1 runs on the picture itself, more
            on its pixel-unshuffled form.
        levels: Levels of resolution on which the head works.
        head: ``blend`` of the sources, or the paper's ``tanh`` of a convolution, on the picture's
            own grid.
    """

    growth: int = 16
    layers: int = 4
    width: int = 64
    tail: tuple[int, ...] = (32, 16)
    dim: int = 168
    blocks: int = field(default=3, metadata=ADDED_LATER)
    down: int = 1
    levels: int = 2
    head: Literal["blend", "tanh"] = field(default="blend", metadata=ADDED_LATER)


_FIRST = 2  # modules: the first convolution of the tail and what follows it

FULL = M2PNConfig(places=True)


class M2PN(SceneFuser):
    """The M2PN network on the picture's own grid (``m2pn``).

    Encoders give feature maps of both sources, of their residual ``thermal - visible`` and of the
    pair, whose global means are the nodes of the scene (M2PN, section 3; sizes not given there are
    :class:`M2PNConfig`'s). After the prompted convolutions places of 2x2 read the memory bank, and
    what they have read is all that the tail and the head get of the maps.

    It ends in :class:`BlendHead`, not in the paper's tanh of a convolution: the exact detail of
    both sources need not pass through the features, and the instance normalisation, which depends
    on the size of the picture, hardly changes the contrast of the result. Trained alike on crops, a
    network with the paper's head came out too contrasty on whole pictures. The head has two levels:
    at full resolution it learned to draw edges that no source has.

    Args:
        name: Name in the registry.
        config: Architecture.
    """

    config: M2PNConfig

    def __init__(self, name: str, config: M2PNConfig) -> None:
        super().__init__(name, config)
        c, source = config, config.layers * config.growth
        pixels = c.down * c.down
        self.pad = PadToMultiple(2 * c.down if c.places else max(c.down, c.levels))
        self.thermal_encoder = DenseEncoder(pixels, c.growth, c.layers)
        self.visible_encoder = DenseEncoder(pixels, c.growth, c.layers)
        self.merge = nn.Conv2d(2 * source, c.width, 3, padding=1)
        means = {"thermal": source, "visible": source, "fused": c.width}
        if c.context_nodes:
            self.residual_encoder = nn.Sequential(
                nn.Conv2d(pixels, c.growth, 3, stride=c.down, padding=1),
                nn.ReLU(inplace=True),
                nn.Conv2d(c.growth, source, 3, padding=1),
                nn.ReLU(inplace=True),
            )
            means["residual"] = source
        self.build_scene(means)
        tail: list[nn.Module] = []
        for fan_in, fan_out in zip((c.width, *c.tail), c.tail, strict=False):
            tail += [nn.Conv2d(fan_in, fan_out, 3, padding=1), nn.ReLU(inplace=True)]
        self.tail = nn.Sequential(*tail)
        self.head = (
            BlendHead(c.tail[-1], c.down, c.levels)
            if c.head == "blend"
            else TanhHead(c.tail[-1], c.down)
        )

    def fuse_luma(self, thermal: Tensor, visible: Tensor, slots: Tensor, cues: Cues) -> LumaOutput:  # noqa: ARG002
        """Fuse checked inputs; see :meth:`LumaFuser.fuse_luma`."""
        height, width = thermal.shape[-2:]
        thermal, visible = self.pad(thermal), self.pad(visible)
        maps, nodes = self._encode(thermal, visible)
        query, attention = self.read_bank(nodes["fused"], slots)
        context = torch.stack(refined(nodes), 1)
        for block in self.blocks:
            maps = block(maps, query, context)
        fused = self.head(self._decode(maps, slots), thermal, visible)
        return LumaOutput(
            fused[..., :height, :width], query=nodes["fused"], nodes=nodes, attention=attention
        )

    def _decode(self, maps: Tensor, slots: Tensor) -> Tensor:
        """Return what the head works on; places of 2x2 read the bank and go on as that."""
        if self.places is not None:
            read = self.tail[:_FIRST](self.places(F.avg_pool2d(maps, 2), slots))
            maps = F.interpolate(read, scale_factor=2.0, mode="bilinear")
        decoded: Tensor = self.tail[0 if self.places is None else _FIRST :](maps)
        return decoded

    def _encode(self, thermal: Tensor, visible: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the pair's feature maps and the scene's nodes."""
        thermal, visible = self._to_grid(thermal), self._to_grid(visible)
        sources = torch.cat([*self.thermal_encoder(thermal), *self.visible_encoder(visible)], 1)
        fused = F.relu_(self.merge(sources))
        thermal_mean, visible_mean = channel_means(sources).chunk(2, dim=1)
        means = {"thermal": thermal_mean, "visible": visible_mean, "fused": channel_means(fused)}
        if self.config.context_nodes:
            means["residual"] = channel_means(self.residual_encoder(thermal - visible))
        return fused, self.nodes_of(means)[0]

    def _to_grid(self, x: Tensor) -> Tensor:
        if self.config.down > 1:
            x = F.pixel_unshuffle(x, self.config.down)
        return x.contiguous(memory_format=torch.channels_last)
