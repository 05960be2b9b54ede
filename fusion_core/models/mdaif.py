"""MdaIF: a scene prior, degradation prototypes and experts restore and fuse at once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fusion_core.foundation.fingerprint import ADDED_LATER
from fusion_core.models.blocks import (
    ChannelNorm,
    ExpertMixture,
    MiTConfig,
    MiTEncoder,
    PadToMultiple,
    PromptedScene,
    Prototypes,
    ResidualBlock,
    RestoringExpert,
    SceneGuidance,
    SceneTokens,
)
from fusion_core.models.blocks.heads import shuffle
from fusion_core.models.blocks.medians import narrow_parts
from fusion_core.models.blocks.veil import transmission
from fusion_core.models.cues import NO_CUES, Cues
from fusion_core.models.features import Features
from fusion_core.models.luma import LumaFuser
from fusion_core.models.m2pn_cells import NANO, M2PNCells
from fusion_core.models.outputs import LumaOutput

_STRIDE = 32
_GREY = 128 / 255
# What the router sees of an activation in (0, 1): as loud as the tokens beside it.
_LOUD = 6.0
# Of the medians of the luma; those of the chroma are of means of 2x2 pixels.
_SPACINGS = (1, 3)
_CHROMA_GRID = 2


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
        depth: Residual blocks of every expert.
        orthonormal: Prototypes start orthonormal, not at random.
        stem: Channels of the stem per source.
        down: Edge in pixels of the grid the stems and the last blocks live on.
        decoder: Channels of the decoder at strides 16, 8 and 4, then of what the experts see.
        blocks: Residual blocks between the decoder and the experts.
        guided: Scales, coarsest last, whose pixels read what the scene is.
        medians: Spacings in pixels of the running medians of the luma that experts may move the
            picture towards, see :func:`narrow_parts`; none: experts do without them.
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
    depth: int = 2
    orthonormal: bool = True
    stem: int = 32
    down: int = 1
    decoder: tuple[int, int, int, int] = (320, 128, 64, 64)
    blocks: int = 1
    guided: int = 2
    medians: tuple[int, ...] = field(default=(), metadata=ADDED_LATER)
    prior_dropout: float = 0.1


B1 = MdaIFConfig(medians=_SPACINGS)
SMALL = MdaIFConfig(
    widths=(24, 48, 96, 128),
    depths=(1, 1, 1, 1),
    heads=(1, 2, 4, 4),
    ratio=2,
    dim=128,
    stem=24,
    down=2,
    decoder=(96, 64, 48, 32),
    medians=_SPACINGS,
)


class Restored(NamedTuple):
    """Everything that MdaIF makes of ``B`` pairs.

    Attributes:
        fused: ``Bx3xHxW`` luma, Cb and Cr of the fused picture in [0, 1].
        visible: ``Bx1xHxW`` luma of the visible picture as restored on the way, not clipped.
        thermal: ``Bx1xHxW`` thermal picture as restored on the way, not clipped.
        activations: ``BxLxK`` of the prototypes, in (0, 1): of every scale, then of the experts'
            grid.
        gates: ``BxE`` mean gates of the experts, sum 1.
        balance: Loss that keeps the experts in balance.
    """

    fused: Tensor
    visible: Tensor
    thermal: Tensor
    activations: Tensor
    gates: Tensor
    balance: Tensor


class MdaIF(LumaFuser):
    """Restore a degraded visible picture beside a thermal one and fuse both, in colour.

    Two Mix Transformers look at the sources; the prior's tokens give what the weather and what the
    scene is (DSPE). At every scale, and once more on the experts' grid, prototypes of degradations
    weigh the channels (DCAM). The decoder goes back up and joins stems at (nearly) full
    resolution, and there a mixture of experts, routed by the prior, restores the visible picture
    (DMoE; MdaIF, section 3; what is not given there is :class:`MdaIFConfig`'s).

    Each expert gives, per pixel, a gain of the luma, an offset per channel, and shares of what is
    narrower than running medians ``M``: the luma becomes ``V' = V + g (V - 1/2) + o - sum m (V -
    M)``, summed over the experts at work. A chroma becomes ``C' = C / t + o - m (C - M)``, ``C``
    without its grey, with the :func:`transmission` ``t`` that the luma's restoration implies.
    Shared maps restore the thermal picture, ``T' = T + dt``.
    A small fusion network that learned to fuse clean pictures, and stays as it is, fuses ``V'`` and
    ``T'``; a last map ``r`` is added where they are not what clean ones would be. All maps start
    at zero: an untrained network is that small one.

    Args:
        name: Name in the registry.
        config: Architecture.
    """

    features = Features(tasks=("vif",), gives="luma", uses_chroma=True, uses_prior=True)
    config: MdaIFConfig

    SHARED, OWN = 2, 4  # maps of the pair, and of each expert but for the shares of medians

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
        weighed = (*(2 * width for width in widths), last)
        self.prototypes = nn.ModuleList(
            Prototypes(channels, c.dim, c.prototypes, orthonormal=c.orthonormal)
            for channels in weighed
            if c.prototypes
        )
        self.guidance = nn.ModuleList(
            SceneGuidance(width, c.dim) for width in widths[len(widths) - c.guided :]
        )
        self.merge = nn.ModuleList(nn.Conv2d(2 * width, width, 1) for width in widths)
        self.up = nn.ModuleList(
            _merge(below + width, out)
            for below, width, out in zip(
                (widths[3], low, middle), reversed(widths[:3]), (low, middle, high), strict=True
            )
        )
        grow = 4 // c.down
        self.shuffle = nn.Sequential(nn.Conv2d(high, last * grow * grow, 1), nn.PixelShuffle(grow))
        # A share of every median of the luma, and one of that of the chroma.
        self._shares = len(c.medians) + bool(c.medians)
        self.join = nn.Conv2d(last + 2 * c.stem + len(c.medians), last, 3, padding=1)
        self.blocks = nn.Sequential(*(ResidualBlock(last) for _ in range(c.blocks)))
        self.experts = ExpertMixture(
            last,
            self.OWN * pixels + self._shares,
            c.dim + c.prototypes * len(weighed),
            experts=c.experts,
            chosen=c.chosen,
            blocks=c.depth,
            per_pixel=c.router == "pixel",
        )
        self.head = RestoringExpert(last, self.SHARED * pixels, 1)
        self.fusion = M2PNCells("m2pn-nano", NANO).requires_grad_(requires_grad=False)

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
        scene = self.scene(cues.tokens, len(v))
        activations: list[Tensor] = []
        narrow = [narrow_parts(v[:, :1], spacings)] if (spacings := self.config.medians) else []
        x = self._decode(self._encode(v, t, scene, activations), v, t, narrow)
        x = self._weigh(x, scene, activations)
        active = [_LOUD * (activation - 0.5) for activation in activations]
        found, routing = self.experts(x, torch.cat([scene.weather.mean(1), *active], 1))
        found, shares = found.split((found.shape[1] - self._shares, self._shares), 1)
        maps = shuffle(torch.cat((found, self.head(x)), 1), self.config.down).float()
        luma = (1 + maps[:, :1]) * v[:, :1] + maps[:, 1:2]
        colours = maps[:, 2:4]
        for parts in narrow:
            taken = _enlarged(shares, self.config.down).float()
            luma = luma - (taken[:, :-1] * parts).sum(1, keepdim=True)
            colours = colours - taken[:, -1:] * _narrow_colours(v[:, 1:])
        # The veil is measured, not learned: the loss of the chroma shall not shape the luma.
        passed = transmission(v[:, :1], luma.detach())
        maps, luma, colours, passed = (
            x[..., :height, :width] for x in (maps, luma + 0.5, colours, passed)
        )
        colours = _GREY + (chroma - _GREY) / passed + colours
        hot = thermal + maps[:, 4:5]
        fused = self.merged(hot, luma) + maps[:, 5:6]
        gates = routing.gates
        return Restored(
            torch.cat((fused, colours), 1).clamp(0, 1),
            luma,
            hot,
            torch.stack(activations, 1) if activations else thermal.new_zeros(len(v), 5, 0),
            gates if gates.ndim == 2 else gates.mean((2, 3)),
            routing.balance,
        )

    def merged(self, thermal: Tensor, visible: Tensor) -> Tensor:
        """Return the fused luma of restored sources, all ``Bx1xHxW``, as the small network does."""
        pair = thermal.clamp(0, 1), visible.clamp(0, 1)
        fused: Tensor = self.fusion.fuse_luma(*pair, self.fusion.bank, NO_CUES).fused
        return fused

    def orthonormality(self) -> Tensor:
        """Return the squared distance of the prototypes to orthonormal ones, mean over scales."""
        if not self.config.prototypes:
            return torch.zeros(())
        return torch.stack([scale.orthonormality() for scale in self.prototypes]).mean()  # type: ignore[operator]

    def _weigh(self, x: Tensor, scene: SceneTokens, activations: list[Tensor]) -> Tensor:
        """Let the next scale's prototypes weigh the channels, and note their activations."""
        if not self.config.prototypes:
            return x
        weighed: tuple[Tensor, Tensor] = self.prototypes[len(activations)](x, scene.whole)
        activations.append(weighed[1])
        return weighed[0]

    def _encode(
        self, visible: Tensor, thermal: Tensor, scene: SceneTokens, activations: list[Tensor]
    ) -> list[Tensor]:
        """Return features of the pair per scale."""
        scales = zip(
            self.visible_encoder(visible),
            self.thermal_encoder(thermal.expand(-1, 3, -1, -1)),
            strict=True,
        )
        first = len(self.merge) - len(self.guidance)
        merged = []
        for level, pair in enumerate(scales):
            x = self._weigh(torch.cat(pair, 1), scene, activations)
            if level >= first:
                x = self.guidance[level - first](x, scene)
            merged.append(self.merge[level](x))
        return merged

    def _decode(
        self, merged: list[Tensor], visible: Tensor, thermal: Tensor, narrow: list[Tensor]
    ) -> Tensor:
        """Return ``BxCxH/downxW/down`` of features per scale, padded sources and narrow parts."""
        x = merged[3]
        for up, skip in zip(self.up, reversed(merged[:3]), strict=True):
            x = up(torch.cat((_enlarged(x, 2), skip), 1))
        down = self.config.down
        stems = (
            self.visible_stem(F.pixel_unshuffle(visible, down)),
            self.thermal_stem(F.pixel_unshuffle(thermal, down)),
            *(F.avg_pool2d(parts, down) for parts in narrow),
        )
        # Parts in different layouts would be joined value by value.
        joined = [part.contiguous(memory_format=torch.channels_last) for part in stems]
        x = F.relu(self.join(torch.cat((self.shuffle(x), *joined), 1)))
        features: Tensor = self.blocks(x)
        return features


def _narrow_colours(chroma: Tensor) -> Tensor:
    """Return what is narrow in ``Bx2xHxW`` Cb and Cr, whose height and width are even."""
    narrow = narrow_parts(F.avg_pool2d(chroma, _CHROMA_GRID), (1,))
    return _enlarged(narrow, _CHROMA_GRID)


def _enlarged(x: Tensor, factor: int) -> Tensor:
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)


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
