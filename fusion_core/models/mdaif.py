"""MdaIF: a scene prior, degradation prototypes and experts restore and fuse at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fusion_core.models.blocks import (
    ChannelNorm,
    ExpertMixture,
    MiTConfig,
    MiTEncoder,
    PadToMultiple,
    PromptedScene,
    Prototypes,
    ResidualBlock,
    SceneGuidance,
)
from fusion_core.models.blocks.heads import shuffle
from fusion_core.models.cues import Cues
from fusion_core.models.features import Features
from fusion_core.models.luma import LumaFuser
from fusion_core.models.outputs import LumaOutput

_STRIDE = 32
_GREY = 128 / 255


@dataclass(frozen=True, slots=True)
class MdaIFConfig:
    """Architecture of an MdaIF network; the defaults are of the paper's size.

    Attributes:
        widths: Channels of the encoders per stage; see :class:`MiTConfig`.
        depths: Blocks per stage.
        heads: Heads per stage.
        reductions: Edge by which keys and values are reduced, per stage.
        ratio: Hidden width of the encoders' MLP in widths.
        prior: Width of the prior's tokens; the embedded provider's is 128, BLIP-2's 2560.
        dim: Width of the scene tokens.
        queries: Learned queries per bank: what the weather is, what the scene is.
        prototypes: Degradation prototypes K; 0 leaves DCAM out.
        experts: Experts E of every scale; 1 leaves nothing to route.
        chosen: Experts that work for one picture, or for one pixel.
        router: Whether experts are chosen per picture or per pixel.
        orthonormal: Prototypes start orthonormal, not at random.
        stem: Channels of the stem per source.
        down: Edge in pixels of the grid the stems and the last blocks live on.
        decoder: Channels of the decoder at strides 16, 8 and 4, then of the last blocks.
        blocks: Residual blocks behind the decoder.
        prior_dropout: Share of training pictures that see no prior.
    """

    widths: tuple[int, ...] = (64, 128, 320, 512)
    depths: tuple[int, ...] = (2, 2, 2, 2)
    heads: tuple[int, ...] = (1, 2, 5, 8)
    reductions: tuple[int, ...] = (8, 4, 2, 1)
    ratio: int = 4
    prior: int = 128
    dim: int = 256
    queries: int = 8
    prototypes: int = 3
    experts: int = 4
    chosen: int = 2
    router: str = "image"
    orthonormal: bool = True
    stem: int = 32
    down: int = 1
    decoder: tuple[int, int, int, int] = (320, 128, 64, 64)
    blocks: int = 2
    prior_dropout: float = 0.1


B1 = MdaIFConfig()
SMALL = MdaIFConfig(
    widths=(24, 48, 96, 128),
    depths=(1, 1, 1, 1),
    heads=(1, 2, 4, 4),
    ratio=2,
    dim=128,
    stem=24,
    down=2,
    decoder=(96, 64, 48, 32),
    blocks=4,
)


class Restored(NamedTuple):
    """Everything that MdaIF makes of ``B`` pairs.

    Attributes:
        fused: ``Bx3xHxW`` luma, Cb and Cr of the fused picture in [0, 1].
        visible: ``Bx1xHxW`` luma of the visible picture as restored on the way, not clipped.
        thermal: ``Bx1xHxW`` thermal picture as restored on the way, not clipped.
        activations: ``BxLxK`` of the prototypes per scale, in (0, 1).
        gates: ``BxLxE`` mean gates of the experts per scale, sum 1.
        balance: Loss that keeps the experts in balance, mean over the scales.
    """

    fused: Tensor
    visible: Tensor
    thermal: Tensor
    activations: Tensor
    gates: Tensor
    balance: Tensor


class MdaIF(LumaFuser):
    """Fuse and restore a degraded visible picture with a thermal one, in colour.

    Two Mix Transformers look at the sources; the prior's tokens give what the weather and what the
    scene is (DSPE). At four scales prototypes of degradations weigh the channels (DCAM), and a
    mixture of experts, guided and routed by the prior, merges the sources (DMoE). The decoder goes
    back up and joins stems at (nearly) full resolution (MdaIF, section 3; what is not given there
    is :class:`MdaIFConfig`'s).

    The last layer restores and blends, per pixel: ``V' = V + dv``, ``T' = T + dt``,
    ``fused = V' + w (T' - V') + r`` and ``chroma' = chroma + dc``, so that a clean picture passes
    through. It starts at zero: an untrained network returns the mean of the sources.

    Args:
        name: Name in the registry.
        config: Architecture.
    """

    features = Features(tasks=("vif",), gives="luma", uses_chroma=True, uses_prior=True)
    config: MdaIFConfig

    MAPS = 6

    def __init__(self, name: str, config: MdaIFConfig) -> None:
        super().__init__(name, config)
        self.features = replace(self.features, prior_width=config.prior)
        c = config
        widths, (low, middle, high, last) = c.widths, c.decoder
        encoder = MiTConfig(c.widths, c.depths, c.heads, c.reductions, c.ratio)
        self.pad = PadToMultiple(_STRIDE)
        pixels = c.down * c.down
        self.visible_encoder = MiTEncoder(3, encoder)
        self.thermal_encoder = MiTEncoder(3, encoder)
        self.visible_stem = _stem(3 * pixels, c.stem)
        self.thermal_stem = _stem(pixels, c.stem)
        self.scene = PromptedScene(c.prior, c.dim, c.queries, c.prior_dropout)
        self.prototypes = nn.ModuleList(
            Prototypes(2 * width, c.dim, c.prototypes, orthonormal=c.orthonormal)
            for width in widths
            if c.prototypes
        )
        self.guidance = nn.ModuleList(SceneGuidance(width, c.dim) for width in widths)
        self.experts = nn.ModuleList(
            ExpertMixture(width, c.dim, c.experts, c.chosen, per_pixel=c.router == "pixel")
            for width in widths
        )
        self.up = nn.ModuleList(
            _merge(below + width, out)
            for below, width, out in zip(
                (widths[3], low, middle), reversed(widths[:3]), (low, middle, high), strict=True
            )
        )
        grow = 4 // c.down
        self.shuffle = nn.Sequential(nn.Conv2d(high, last * grow * grow, 1), nn.PixelShuffle(grow))
        self.join = nn.Conv2d(last + 2 * c.stem, last, 3, padding=1)
        self.blocks = nn.Sequential(*(ResidualBlock(last) for _ in range(c.blocks)))
        self.head = nn.Conv2d(last, self.MAPS * pixels, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def fuse_luma(self, thermal: Tensor, visible: Tensor, slots: Tensor, cues: Cues) -> LumaOutput:  # noqa: ARG002
        """Fuse checked inputs; see :meth:`LumaFuser.fuse_luma`."""
        made = self.restore(thermal, visible, cues)
        return LumaOutput(made.fused[:, :1], chroma=made.fused[:, 1:])

    def restore(self, thermal: Tensor, visible: Tensor, cues: Cues) -> Restored:
        """Fuse and return everything, for training and analysis.

        Args:
            thermal: ``Bx1xHxW`` in [0, 1].
            visible: ``Bx1xHxW`` luma in [0, 1].
            cues: Chroma, grey when None, and tokens of the prior; None works without a prior.
        """
        height, width = thermal.shape[-2:]
        chroma = cues.chroma
        if chroma is None:
            chroma = visible.new_full((len(visible), 2, height, width), _GREY)
        colour = torch.cat((visible, chroma), 1)
        v, t = self.pad(colour - 0.5), self.pad(thermal - 0.5)
        v, t = (x.contiguous(memory_format=torch.channels_last) for x in (v, t))
        scales = zip(
            self.visible_encoder(v), self.thermal_encoder(t.expand(-1, 3, -1, -1)), strict=True
        )
        scene = self.scene(cues.tokens, len(v))
        merged, activations, routings = [], [], []
        for level, pair in enumerate(scales):
            joined = torch.cat(pair, 1)
            if self.config.prototypes:
                joined, activation = self.prototypes[level](joined, scene.whole)
                activations.append(activation)
            guided = self.guidance[level](joined, scene)
            x, routing = self.experts[level](guided, scene)
            merged.append(x)
            routings.append(routing)
        maps = self._decode(merged, v, t)[..., :height, :width].float()
        gates = [r.gates if r.gates.ndim == 2 else r.gates.mean((2, 3)) for r in routings]
        return Restored(
            *_blend(maps, colour, thermal),
            torch.stack(activations, 1) if activations else thermal.new_zeros(len(v), 4, 0),
            torch.stack(gates, 1),
            torch.stack([r.balance for r in routings]).mean(),
        )

    def orthonormality(self) -> Tensor:
        """Return the squared distance of the prototypes to orthonormal ones, mean over scales."""
        if not self.config.prototypes:
            return torch.zeros(())
        return torch.stack([scale.orthonormality() for scale in self.prototypes]).mean()  # type: ignore[operator]

    def _decode(self, merged: list[Tensor], visible: Tensor, thermal: Tensor) -> Tensor:
        """Return ``BxMAPSxHxW`` maps of features per scale and the padded sources."""
        x = merged[3]
        for up, skip in zip(self.up, reversed(merged[:3]), strict=True):
            grown = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = up(torch.cat((grown, skip), 1))
        down = self.config.down
        stems = (
            self.visible_stem(F.pixel_unshuffle(visible, down)),
            self.thermal_stem(F.pixel_unshuffle(thermal, down)),
        )
        x = F.relu(self.join(torch.cat((self.shuffle(x), *stems), 1)))
        return shuffle(self.head(self.blocks(x)), down)


def _blend(maps: Tensor, colour: Tensor, thermal: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the fused picture in YCbCr, and the restored luma and thermal picture."""
    visible = colour[:, :1] + maps[:, 0:1]
    hot = thermal + maps[:, 1:2]
    fused = torch.lerp(visible, hot, maps[:, 2:3].sigmoid()) + maps[:, 3:4]
    chroma = colour[:, 1:] + maps[:, 4:6]
    return torch.cat((fused, chroma), 1).clamp(0, 1), visible, hot


def _stem(channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1),
        nn.GELU(),
        nn.Conv2d(width, width, 3, padding=1),
        nn.GELU(),
    )


def _merge(channels: int, width: int) -> nn.Sequential:
    """Return two convolutions that join a scale with the one below.

    Their norm is per pixel: group norm would depend on the size of the picture.
    """
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1),
        ChannelNorm(width),
        nn.GELU(),
        nn.Conv2d(width, width, 3, padding=1),
        ChannelNorm(width),
        nn.GELU(),
    )
