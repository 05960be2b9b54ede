"""CtrlFuse: a mask marks what the fusion shall favour, and a segmenter finds its exact shape."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import cv2
import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from fusion_core.models.blocks import (
    BlendHead,
    GradientDenseBlock,
    PadToMultiple,
    PromptSemanticFusion,
    ReferencePromptEncoder,
    TanhHead,
    Window,
    marked_on_grid,
    to_grid,
)
from fusion_core.models.cues import Cues
from fusion_core.models.features import Features
from fusion_core.models.luma import LumaFuser
from fusion_core.models.outputs import LumaOutput
from fusion_core.models.segmenters import (
    EmbeddedSegmenter,
    PassThroughSegmenter,
    SamSegmenter,
    Segmenter,
)
from fusion_core.runtime.settings import Settings


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
        heads: Heads of the prompt encoders' attentions.
        prompts: Number of prompts per modality; with 0 only the place of the mask counts.
        grid: Edge of the prompt encoders' grid.
        stride: Edge in features of a cell in which the prompt-semantic fusion reads the prompts.
        swapped: In the prompt-semantic fusion the prompts read the map, as in the public code, not
            the map's cells the prompts, as in the paper.
        segmenter: ``embedded``, trained with the network, the frozen ``sam``, or ``none``: the
            mask as it is given.
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
    segmenter_width=16,
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
    fusion. With a mask, a prompt encoder per modality turns what is marked into prompts, the
    segmenter finds what they describe in the reference fusion, and inside that the modality's map,
    after it has read the prompts, is added to the reference map before the same decoder: a mask
    changes the picture inside what the segmenter found, and next to nothing elsewhere. Without a
    mask, or with an empty one, the result is the reference fusion.

    Prompts act through the segmenter's probability in training, so that the fusion teaches them,
    and through the decided mask afterwards.

    Args:
        name: Name in the registry.
        config: Architecture.
    """

    features = Features(gives="luma", uses_mask=True)
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
        self.encoders = nn.ModuleList(
            ReferencePromptEncoder(width, c.dim, c.heads, c.prompts, c.grid)
            for _ in range(2 if c.prompts else 0)
        )
        # Cells from which a decoded cell takes: the decoder, the head, and the smoothing of it.
        self._reach = len(c.decoder) + 2
        self.prompted = nn.ModuleList(
            PromptSemanticFusion(width, c.dim, 8, c.stride, swapped=c.swapped) for _ in range(2)
        )
        self.segmenter: Segmenter
        if c.segmenter == "embedded":
            self.segmenter = EmbeddedSegmenter(c.dim, c.heads, c.segmenter_width, c.down)
        elif c.segmenter == "sam":
            assert c.down == 1, "SAM finds on the picture's own grid"
            self.segmenter = SamSegmenter(dim=c.dim)
        else:
            self.segmenter = PassThroughSegmenter(c.dim, c.down)

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
        prompts = self._prompts(sources, fused, cues.mask)
        logits = self.segmenter(reference.detach(), cues.mask, prompts)
        inside = self._inside(logits, cues.mask)
        changed = self._changed(inside) if self.options.gain else None
        if changed is None:
            return LumaOutput(reference, reference=reference, logits=logits)
        height, width = fused.shape[-2:]
        seen = changed.grown(self._reach, height, width, self.config.stride)
        maps = seen.of(fused)
        for source, prompt, where, module in zip(
            sources, prompts.unbind(1), inside.chunk(2, dim=1), self.prompted, strict=True
        ):
            maps = maps + self.options.gain * module(source, prompt, where.to(source.dtype), seen)
        pixels = seen.scaled(self.config.down)
        part = self._decode(maps, pixels.of(thermal), pixels.of(visible))
        prompted = reference.clone()
        target = changed.scaled(self.config.down)
        wanted = target.of(prompted)
        own = target.moved(-pixels.top, -pixels.left).of(part)
        wanted.copy_(own[..., : wanted.shape[-2], : wanted.shape[-1]])
        return LumaOutput(prompted, reference=reference, logits=logits)

    def _prompts(self, sources: tuple[Tensor, Tensor], fused: Tensor, mask: Tensor) -> Tensor:
        """Return prompts ``Bx2xNxD``, thermal first."""
        if not len(self.encoders):
            return fused.new_zeros(len(fused), 2, 0, self.config.dim)
        grid = self.config.grid
        fused, mask = to_grid(fused, grid), marked_on_grid(mask, grid)
        encoded = [
            encoder(to_grid(source, grid), fused, mask)
            for encoder, source in zip(self.encoders, sources, strict=True)
        ]
        return torch.stack(encoded, 1)

    def _inside(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Return ``Bx2xhxw`` in [0, 1]: where prompts act, nowhere for an empty mask."""
        if self.training:
            inside = logits.sigmoid()
        else:
            inside = (logits > 0).float()
            if self.config.segmenter == "embedded":
                mean = F.avg_pool2d(mask.float(), self.config.down, ceil_mode=True)
                inside = torch.maximum(inside, missed(inside, (mean > 0.5).float()))
        return inside * (mask.amax((1, 2, 3), keepdim=True) > 0)

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


def missed(found: Tensor, marked: Tensor) -> Tensor:
    """Return the connected objects of a mask of which less than a quarter was found.

    What a segmenter does not know may still matter to who marked it.

    Args:
        found: ``BxKxHxW`` in {0, 1}.
        marked: ``Bx1xHxW`` in {0, 1}.

    Returns:
        ``BxKxHxW`` in {0, 1}.
    """
    pictures = []
    for maps, mask in zip(found.cpu().numpy(), marked[:, 0].cpu().numpy(), strict=True):
        count, objects = cv2.connectedComponents(mask.astype(np.uint8))
        areas = np.bincount(objects.ravel(), minlength=count)
        for one in maps:
            shared = np.bincount(objects.ravel(), one.ravel(), minlength=count)
            unknown = shared < areas / 4
            unknown[0] = False
            pictures.append(unknown[objects])
    return torch.from_numpy(np.stack(pictures)).to(found).view_as(found)


def _convolutions(*widths: int) -> list[nn.Module]:
    """Return 3x3 convolutions through these widths, each rectified."""
    layers: list[nn.Module] = []
    for fan_in, fan_out in itertools.pairwise(widths):
        layers += [nn.Conv2d(fan_in, fan_out, 3, padding=1), nn.LeakyReLU(0.2, inplace=True)]
    return layers
