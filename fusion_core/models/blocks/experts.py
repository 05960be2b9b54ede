"""Degradation-aware blocks of MdaIF: prototypes, guidance by the scene, mixture of experts."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fusion_core.models.blocks.residual import ChannelNorm, ResidualBlock
from fusion_core.models.blocks.routing import NoisyTopK, Routing
from fusion_core.models.blocks.scene import SceneTokens, TokenReader

_HIDDEN = 128
_ROUTER_HIDDEN = 256
# Spread of the noise before its softplus, at first: more noise would choose in the router's place.
_QUIET = -3.0
# Deviation of the weights' logits over the channels, at first, where one prototype is active.
_SPREAD = 2.0


class Prototypes(nn.Module):
    """Channel attention by degradation prototypes (MdaIF, DCAM).

    ``LN(x) * sigmoid(g s W) + x`` with ``s = sigmoid(MLP(scene))`` in (0, 1)^K, a prototype per
    row of ``W``, and a learned scale ``g``; the rows start orthonormal. The scale is not in the
    paper: rows of norm 1 alone make weights that are all near 1/2, whatever the scene.

    Args:
        channels: Channels of the feature maps.
        dim: Width of the scene vector.
        count: Prototypes K.
        orthonormal: Start with orthonormal rows; else normal ones of the same mean length.
    """

    def __init__(self, channels: int, dim: int, count: int, *, orthonormal: bool = True) -> None:
        super().__init__()
        self.norm = ChannelNorm(channels)
        self.strength = nn.Sequential(nn.Linear(dim, _HIDDEN), nn.GELU(), nn.Linear(_HIDDEN, count))
        self.rows = nn.Parameter(torch.randn(count, channels) / channels**0.5)
        self.scale = nn.Parameter(torch.tensor(_SPREAD * channels**0.5))
        if orthonormal:
            nn.init.orthogonal_(self.rows)

    def forward(self, x: Tensor, scene: Tensor) -> tuple[Tensor, Tensor]:
        """Return weighed ``BxCxHxW`` and the activations ``BxK``, for a scene vector ``BxD``."""
        activation = torch.sigmoid(self.strength(scene))
        rows = (self.scale * self.rows).to(activation.dtype)
        weight = torch.sigmoid(activation @ rows)
        return torch.addcmul(x, self.norm(x), weight[:, :, None, None].to(x.dtype)), activation

    def orthonormality(self) -> Tensor:
        """Return the squared distance of ``W W^T`` to the identity."""
        gram = self.rows @ self.rows.T
        return (gram - torch.eye(len(gram), device=gram.device)).square().sum()


class SceneGuidance(nn.Module):
    """Let the pixels of both sources read what the scene is (MdaIF, guidance of DMoE).

    The weather is not read here: it acts through prototypes and routers.

    Args:
        channels: Channels per source.
        dim: Width of the scene tokens.
    """

    def __init__(self, channels: int, dim: int) -> None:
        super().__init__()
        self.visible = TokenReader(channels, dim)
        self.thermal = TokenReader(channels, dim)

    def forward(self, x: Tensor, scene: SceneTokens) -> Tensor:
        """Return guided ``Bx2CxHxW``, the visible half first."""
        v, t = x.permute(0, 2, 3, 1).chunk(2, dim=-1)
        v = v + self.visible(v, scene.scene)
        t = t + self.thermal(t, scene.scene)
        return torch.cat((v, t), -1).permute(0, 3, 1, 2)


class RestoringExpert(nn.Module):
    """One way to restore: residual blocks and the maps that they end in, which start at zero.

    Args:
        channels: Channels of the features.
        maps: Channels of the result.
        blocks: Residual blocks.
    """

    def __init__(self, channels: int, maps: int, blocks: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(ResidualBlock(channels) for _ in range(blocks)))
        self.head = nn.Conv2d(channels, maps, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Return ``BxMxHxW`` of ``BxCxHxW``."""
        maps: Tensor = self.head(self.blocks(x))
        return maps


class ExpertMixture(nn.Module):
    """Degradation-aware mixture of experts (MdaIF, DMoE).

    Experts are chosen from the features' mean and a vector of the weather, per picture, or per
    pixel for mixed weather; those that a picture did not choose do not see it.

    Args:
        channels: Channels of the features.
        maps: Channels of the result.
        dim: Width of the weather vector.
        experts: Experts E.
        chosen: How many of them work.
        blocks: Residual blocks of each.
        per_pixel: Choose anew at every pixel.
    """

    def __init__(
        self,
        channels: int,
        maps: int,
        dim: int,
        *,
        experts: int,
        chosen: int,
        blocks: int,
        per_pixel: bool = False,
    ) -> None:
        super().__init__()
        self.per_pixel = per_pixel
        self.maps = maps
        self.router = nn.Sequential(
            nn.Conv2d(channels + dim, _ROUTER_HIDDEN, 1),
            nn.GELU(),
            nn.Conv2d(_ROUTER_HIDDEN, 2 * experts, 1),
        )
        last = self.router[-1]
        assert isinstance(last, nn.Conv2d)
        assert last.bias is not None
        nn.init.constant_(last.bias[experts:], _QUIET)
        self.gate = NoisyTopK(chosen, experts)
        self.experts = nn.ModuleList(
            RestoringExpert(channels, maps, blocks) for _ in range(experts)
        )

    def forward(self, x: Tensor, weather: Tensor) -> tuple[Tensor, Routing]:
        """Return ``BxMxHxW`` of ``BxCxHxW`` in a weather ``BxD``, and who worked."""
        routing = self._route(x, weather)
        gates = routing.gates if self.per_pixel else routing.gates[:, :, None, None]
        gates = gates.to(x.dtype)
        out = x.new_zeros(len(x), self.maps, *x.shape[2:])
        # A graph for other run times is the same for all pictures: there every expert runs.
        every = self.per_pixel or torch.compiler.is_exporting()
        for index, expert in enumerate(self.experts):
            share = gates[:, index : index + 1]
            if every:
                out = out + share * expert(x)
                continue
            rows = share.flatten().nonzero()[:, 0]
            if len(rows) == len(x):
                out = out + share * expert(x)
            elif len(rows):
                out = out.index_add(0, rows, share[rows] * expert(x[rows]))
        return out, routing

    def _route(self, x: Tensor, weather: Tensor) -> Routing:
        """Route in float32: half precision would turn near ties around.

        The router reads the features, but does not shape them: balance is no reason to change them.
        """
        seen = x.detach().float()
        place = seen if self.per_pixel else seen.mean((2, 3), keepdim=True)
        conditions = weather.float()[:, :, None, None].expand(-1, -1, *place.shape[2:])
        with torch.autocast(x.device.type, enabled=False):
            logits, spread = self.router(torch.cat((place, conditions), 1)).chunk(2, dim=1)
        if not self.per_pixel:
            logits, spread = logits[:, :, 0, 0], spread[:, :, 0, 0]
        routing: Routing = self.gate(logits, spread)
        return routing
