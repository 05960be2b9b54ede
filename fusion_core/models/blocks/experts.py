"""Degradation-aware blocks of MdaIF: prototypes, guidance by the scene, mixture of experts."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fusion_core.models.blocks.residual import ChannelNorm
from fusion_core.models.blocks.routing import NoisyTopK, Routing
from fusion_core.models.blocks.scene import SceneTokens, TokenReader

_HIDDEN = 128
_ROUTER_HIDDEN = 256
# Spread of the noise before its softplus, at first: more noise would choose in the router's place.
_QUIET = -3.0


class Prototypes(nn.Module):
    """Channel attention by degradation prototypes (MdaIF, DCAM).

    ``LN(x) * sigmoid(s W) + x`` with ``s = sigmoid(MLP(scene))`` in (0, 1)^K and a prototype per
    row of ``W``; the rows start orthonormal.

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
        if orthonormal:
            nn.init.orthogonal_(self.rows)

    def forward(self, x: Tensor, scene: Tensor) -> tuple[Tensor, Tensor]:
        """Return weighed ``BxCxHxW`` and the activations ``BxK``, for a scene vector ``BxD``."""
        activation = torch.sigmoid(self.strength(scene))
        weight = torch.sigmoid(activation @ self.rows.to(activation.dtype))
        return torch.addcmul(x, self.norm(x), weight[:, :, None, None].to(x.dtype)), activation

    def orthonormality(self) -> Tensor:
        """Return the squared distance of ``W W^T`` to the identity."""
        gram = self.rows @ self.rows.T
        return (gram - torch.eye(len(gram), device=gram.device)).square().sum()


class SceneGuidance(nn.Module):
    """Let the pixels of both sources read the scene (MdaIF, guidance of DMoE).

    The visible half reads weather and scene, the thermal half the scene alone.

    Args:
        channels: Channels per source.
        dim: Width of the scene tokens.
    """

    def __init__(self, channels: int, dim: int) -> None:
        super().__init__()
        self.weather = TokenReader(channels, dim)
        self.visible = TokenReader(channels, dim)
        self.thermal = TokenReader(channels, dim)

    def forward(self, x: Tensor, scene: SceneTokens) -> Tensor:
        """Return guided ``Bx2CxHxW``, the visible half first."""
        v, t = x.permute(0, 2, 3, 1).chunk(2, dim=-1)
        v = v + self.weather(v, scene.weather) + self.visible(v, scene.scene)
        t = t + self.thermal(t, scene.scene)
        return torch.cat((v, t), -1).permute(0, 3, 1, 2)


class Expert(nn.Module):
    """Merge two sources: 1x1, depthwise 3x3, GELU, channel attention, 1x1."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(2 * channels, channels, 1)
        self.local = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.attention = nn.Linear(channels, channels)
        self.leave = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``BxCxHxW`` of ``Bx2CxHxW``."""
        y = F.gelu(self.local(self.enter(x)))
        weight = 1 + self.attention(y.mean((2, 3)))
        out: Tensor = self.leave(y * weight[:, :, None, None].to(y.dtype))
        return out


class ExpertMixture(nn.Module):
    """Degradation-aware mixture of experts (MdaIF, DMoE).

    Experts are chosen from the features' mean and the weather, per picture, or per pixel for
    mixed weather; those that nobody chose do not run.

    Args:
        channels: Channels per source, and of the result.
        dim: Width of the scene tokens.
        experts: Experts E.
        chosen: How many of them work.
        per_pixel: Choose anew at every pixel.
    """

    def __init__(
        self, channels: int, dim: int, experts: int, chosen: int, *, per_pixel: bool = False
    ) -> None:
        super().__init__()
        self.per_pixel = per_pixel
        self.router = nn.Sequential(
            nn.Conv2d(2 * channels + dim, _ROUTER_HIDDEN, 1),
            nn.GELU(),
            nn.Conv2d(_ROUTER_HIDDEN, 2 * experts, 1),
        )
        last = self.router[-1]
        assert isinstance(last, nn.Conv2d)
        assert last.bias is not None
        nn.init.constant_(last.bias[experts:], _QUIET)
        self.gate = NoisyTopK(chosen, experts)
        self.experts = nn.ModuleList(Expert(channels) for _ in range(experts))
        self.shortcut = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, x: Tensor, scene: SceneTokens) -> tuple[Tensor, Routing]:
        """Return ``BxCxHxW`` of ``Bx2CxHxW``, and who worked."""
        routing = self._route(x, scene.weather.mean(1))
        gates = routing.gates if self.per_pixel else routing.gates[:, :, None, None]
        out: Tensor = self.shortcut(x)
        # A graph for other run times is the same for all pictures: there every expert runs.
        every = torch.compiler.is_exporting()
        working = [] if every else (gates > 0).any(0).flatten(1).any(1).tolist()
        for index, expert in enumerate(self.experts):
            if every or working[index]:
                out = out + gates[:, index : index + 1].to(x.dtype) * expert(x)
        return out, routing

    def _route(self, x: Tensor, weather: Tensor) -> Routing:
        """Route in float32: half precision would turn near ties around.

        The router reads the features, but does not shape them: balance is no reason to change them.
        """
        seen = x.detach().float()
        place = seen if self.per_pixel else seen.mean((2, 3), keepdim=True)
        conditions = weather.detach().float()[:, :, None, None].expand(-1, -1, *place.shape[2:])
        with torch.autocast(x.device.type, enabled=False):
            logits, spread = self.router(torch.cat((place, conditions), 1)).chunk(2, dim=1)
        if not self.per_pixel:
            logits, spread = logits[:, :, 0, 0], spread[:, :, 0, 0]
        routing: Routing = self.gate(logits, spread)
        return routing
