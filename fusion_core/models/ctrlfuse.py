"""CtrlFuse: a mask marks what the fusion shall favour, and a segmenter finds its exact shape."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from fusion_core.models.blocks import (
    BlendHead,
    GradientDenseBlock,
    ObjectPromptEncoder,
    PadToMultiple,
    PromptSemanticFusion,
    ReferencePromptEncoders,
    TanhHead,
    View,
    Window,
)
from fusion_core.models.cues import Cues
from fusion_core.models.features import Features
from fusion_core.models.luma import LumaFuser
from fusion_core.models.outputs import LumaOutput
from fusion_core.models.segmenters import (
    ObjectSegmenter,
    SamSegmenter,
    Segmenter,
    ShapeSegmenter,
)
from fusion_core.runtime.settings import Settings

# Logits between which the prompts begin to act and act in full.
_RAMP = 2.0


@dataclass(frozen=True, slots=True)
class CtrlFuseConfig:
    """Architecture of a CtrlFuse network; the defaults are the paper's setting.

    Attributes:
        widths: Channels of the extractor: first convolution, two gradient dense blocks, and
            the convolutions after them.
        decoder: Channels of the decoder's convolutions, which the head follows.
        head: ``tanh`` of a convolution as published, or ``blend`` of the sources, which works on
            any grid.
        down: Edge in pixels of the grid the features live on: 1 runs on the picture itself, more
            on its pixel-unshuffled form.
        dim: Width of the prompts.
        heads: Heads of the attentions of the published prompt encoders.
        prompts: Number of prompts per modality of the published encoders.
        grid: Edge of the published encoders' grid.
        stride: Edge in features of a cell in which the prompt-semantic fusion reads the prompts.
        swapped: In the prompt-semantic fusion the prompts read the map, as in the public code, not
            the map's cells the prompts, as in the paper.
        segmenter: The frozen ``sam``, which takes the prompts of the published encoders;
            ``embedded``, trained with the network on prompts per object; or ``none``: the
            shape that these prompts tell.
        segmenter_width: Channels of the embedded segmenter.
    """

    widths: tuple[int, ...] = (16, 32, 64, 128, 256)
    decoder: tuple[int, ...] = (128, 64, 32, 16)
    head: Literal["tanh", "blend"] = "tanh"
    down: int = 1
    dim: int = 256
    heads: int = 4
    prompts: int = 40
    grid: int = 64
    stride: int = 8
    swapped: bool = False
    segmenter: Literal["embedded", "sam", "none"] = "sam"
    segmenter_width: int = 0


FULL = CtrlFuseConfig()
ROBOT = CtrlFuseConfig(
    widths=(8, 8, 16, 16),
    decoder=(16, 16),
    head="blend",
    down=2,
    dim=48,
    segmenter="embedded",
    segmenter_width=24,
)


@dataclass(frozen=True)
class CtrlFuseOptions(Settings):
    """What can be changed after training."""

    gain: Annotated[
        float,
        Field(
            ge=0,
            le=10,
            description="How strongly what is marked is favoured: 1 as trained, 0 not at all.",
        ),
    ] = 1.0
    segmenter_weights: Annotated[
        str,
        Field(
            description="Folder or hub name of SAM's weights, for networks with SAM; empty: the"
            " default."
        ),
    ] = ""


class Extractor(nn.Sequential):
    """Features of one modality: convolution, two gradient dense blocks, convolutions."""

    def __init__(self, channels: int, widths: tuple[int, ...]) -> None:
        first, second, third, *rest = widths
        layers: list[nn.Module] = [
            nn.Conv2d(channels, first, 3, padding=1),
            nn.LeakyReLU(0.2, inplace=True),
            GradientDenseBlock(first, second),
            GradientDenseBlock(second, third),
        ]
        super().__init__(*layers, *_convolutions(third, *rest))


class CtrlFuse(LumaFuser):
    """The CtrlFuse network, on a reduced grid (``ctrlfuse``) or as published (``ctrlfuse-full``).

    Two extractors and a 1x1 convolution give the reference map, and a decoder the reference
    fusion. With a mask, an encoder turns what is marked into prompts, the segmenter finds what they
    describe, and inside that each modality's map, after it has read the prompts, is added to the
    reference map before the same decoder: a mask changes the picture inside what the segmenter
    found, and next to nothing elsewhere. Nothing but the prompts sees the mask. Without a mask, or
    with an empty one, the result is the reference fusion.

    The prompts act in full where the segmenter is sure and fade where it doubts, so that the fused
    picture teaches the segmenter too, and no step is seen at the border of an object.

    Args:
        name: Name in the registry.
        config: Architecture.
    """

    features = Features(gives="luma", uses_mask=True, segments=True)
    Options: ClassVar = CtrlFuseOptions
    options: CtrlFuseOptions
    config: CtrlFuseConfig

    def __init__(self, name: str, config: CtrlFuseConfig) -> None:
        super().__init__(name, config)
        c, pixels = config, config.down * config.down
        width = c.widths[-1]
        self.pad = PadToMultiple(c.down)
        self.thermal_extractor = Extractor(pixels, c.widths)
        self.visible_extractor = Extractor(pixels, c.widths)
        self.merge = nn.Conv2d(2 * width, width, 1)
        self.decoder = nn.Sequential(*_convolutions(width, *c.decoder))
        head = BlendHead if c.head == "blend" else TanhHead
        self.head = head(c.decoder[-1], c.down)
        self.encoder: ReferencePromptEncoders | ObjectPromptEncoder
        if c.segmenter == "sam":
            self.encoder = ReferencePromptEncoders(width, c.dim, c.heads, c.prompts, c.grid)
        else:
            self.encoder = ObjectPromptEncoder(width, c.dim, c.down)
        # Cells from which a decoded cell takes: the decoder, the head, and the smoothing of it.
        self._reach = len(c.decoder) + 2
        self.prompted = nn.ModuleList(
            PromptSemanticFusion(width, c.dim, 8, c.stride, swapped=c.swapped) for _ in range(2)
        )
        self.segmenter: Segmenter
        if c.segmenter == "embedded":
            self.segmenter = ObjectSegmenter(width, 2, c.segmenter_width)
        elif c.segmenter == "sam":
            assert c.down == 1, "SAM finds on the picture's own grid"
            self.segmenter = SamSegmenter(dim=c.dim)
        else:
            self.segmenter = ShapeSegmenter()

    def configure(self, options: Settings) -> None:
        """Set the options; see :meth:`Fuser.configure`."""
        super().configure(options)
        weights = self.options.segmenter_weights
        if weights and isinstance(self.segmenter, SamSegmenter):
            self.segmenter.weights = weights

    def fuse_luma(self, thermal: Tensor, visible: Tensor, slots: Tensor, cues: Cues) -> LumaOutput:  # noqa: ARG002
        """Fuse checked inputs; see :meth:`LumaFuser.fuse_luma`."""
        size = thermal.shape[-2:]
        thermal, visible = self.pad(thermal), self.pad(visible)
        sources = (
            self.thermal_extractor(self._to_grid(thermal)),
            self.visible_extractor(self._to_grid(visible)),
        )
        fused = F.relu_(self.merge(torch.cat(sources, 1)))
        reference = self._decode(fused, thermal, visible)[..., : size[0], : size[1]]
        if cues.mask is None or not (self.training or bool(cues.mask.any())):
            return LumaOutput(reference)
        view = View(
            reference.detach(),
            torch.cat([thermal, visible], 1),
            (sources[0].detach(), sources[1].detach()),
            fused.detach(),
        )
        prompts = self.encoder(view, self.pad(cues.mask))
        logits = self.segmenter(view, prompts)
        inside = (logits / (2 * _RAMP) + 0.5).clamp(0, 1)
        inside = (inside * (cues.mask.amax((1, 2, 3), keepdim=True) > 0)).expand(-1, 2, -1, -1)
        changed = self._changed(inside) if self.options.gain else None
        if changed is None:
            return LumaOutput(reference, reference=reference, logits=logits)
        height, width = fused.shape[-2:]
        seen = changed.grown(self._reach, height, width, self.config.stride)
        maps = seen.of(fused)
        inside = inside.to(fused.dtype)
        for source, tokens, where, module in zip(
            sources, prompts.tokens.unbind(1), inside.chunk(2, dim=1), self.prompted, strict=True
        ):
            added = module(source, tokens, where, seen, prompts.areas)
            maps = maps + self.options.gain * added
        pixels = seen.scaled(self.config.down)
        part = self._decode(maps, pixels.of(thermal), pixels.of(visible))
        prompted = reference.clone()
        target = changed.scaled(self.config.down)
        wanted = target.of(prompted)
        own = target.moved(-pixels.top, -pixels.left).of(part)
        wanted.copy_(own[..., : wanted.shape[-2], : wanted.shape[-1]])
        return LumaOutput(prompted, reference=reference, logits=logits)

    def _changed(self, inside: Tensor) -> Window | None:
        """Return what of the map the prompts can change, None where they act nowhere."""
        height, width = inside.shape[-2:]
        if self.training:
            return Window(0, height, 0, width)
        acts = inside.amax((0, 1)) > 0
        rows, columns = acts.any(1).nonzero(), acts.any(0).nonzero()
        if not len(rows):
            return None
        window = Window(int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1)
        return window.grown(self._reach, height, width)

    def _decode(self, maps: Tensor, thermal: Tensor, visible: Tensor) -> Tensor:
        decoded: Tensor = self.head(self.decoder(maps), thermal, visible)
        return decoded

    def _to_grid(self, x: Tensor) -> Tensor:
        if self.config.down > 1:
            x = F.pixel_unshuffle(x, self.config.down)
        return x.contiguous(memory_format=torch.channels_last)


def _convolutions(*widths: int) -> list[nn.Module]:
    """Return 3x3 convolutions through these widths, each rectified."""
    layers: list[nn.Module] = []
    for fan_in, fan_out in itertools.pairwise(widths):
        layers += [nn.Conv2d(fan_in, fan_out, 3, padding=1), nn.LeakyReLU(0.2, inplace=True)]
    return layers
