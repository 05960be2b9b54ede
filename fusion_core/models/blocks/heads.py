"""Last layers: from feature maps to the fused picture."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class BlendHead(nn.Module):
    """Blend the sources at full resolution under maps predicted on a coarser grid.

    With ``d(x) = x - smooth(x)`` the finest detail of a source,
    ``fused = visible + w (thermal - visible) + a d(thermal) + b d(visible) + r``, where
    ``w`` in (0, 1), ``a, b`` in (-1, 1) and ``r`` in (-1/2, 1/2) come from a pixel shuffle
    followed by the binomial filter ``[1 2 1] / 4`` in both directions. That filter is zero at the
    period of two pixels with which the phases of a shuffle by 2 can differ, so no grid shows; the
    detail it would take from the picture does not pass through it, but comes from the sources.

    With two levels ``r`` is ``a' d(thermal') + b' d(visible') + r'`` on half the resolution, with
    the sources' means of 2x2 pixels, interpolated: what is finer than ``r'`` comes from a source.
    The convolution starts at zero: an untrained network returns the mean of the sources.

    Args:
        channels: Channels of the feature maps.
        down: Edge of a feature pixel in picture pixels; 1 or 2 with two levels.
        levels: 1 or 2.
    """

    def __init__(self, channels: int, down: int, levels: int = 1) -> None:
        super().__init__()
        assert levels == 1 or down in {1, 2}, "the second level has half the resolution"
        self.down = down
        # maps of the picture's grid, and those of half its resolution
        self.parts = [4 * down * down, 0] if levels == 1 else [3 * down * down, 3]
        self.conv = nn.Conv2d(channels, sum(self.parts), 3, padding=1)
        nn.init.zeros_(self.conv.weight)
        nn.init.zeros_(self.conv.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, thermal: Tensor, visible: Tensor) -> Tensor:
        """Return ``Bx1xHxW`` in [0, 1] from features ``BxCxH/downxW/down`` and both sources.

        With two levels H and W are even.
        """
        fine, coarse = torch.split(self.conv(x), self.parts, dim=1)
        maps = smooth(shuffle(fine, self.down).to(visible.dtype))
        weight, gain_thermal, gain_visible, *rest = torch.split(maps, 1, dim=1)
        fused = torch.lerp(visible, thermal, weight.sigmoid())
        fused = torch.addcmul(fused, gain_thermal.tanh(), thermal - smooth(thermal))
        fused = torch.addcmul(fused, gain_visible.tanh(), visible - smooth(visible))
        if rest:
            return torch.add(fused, rest[0].tanh(), alpha=0.5).clamp(0, 1)
        return (fused + self._half(coarse, thermal, visible)).clamp(0, 1)

    def _half(self, maps: Tensor, thermal: Tensor, visible: Tensor) -> Tensor:
        """Return what the second level adds, on the sources' grid."""
        maps = F.avg_pool2d(maps, 2 // self.down).to(visible.dtype).tanh()
        gain_thermal, gain_visible, rest = torch.split(maps, 1, dim=1)
        thermal, visible = F.avg_pool2d(thermal, 2), F.avg_pool2d(visible, 2)
        added = torch.addcmul(rest / 2, gain_thermal, thermal - smooth(thermal))
        added = torch.addcmul(added, gain_visible, visible - smooth(visible))
        return F.interpolate(added, scale_factor=2.0, mode="bilinear", align_corners=False)


class AffineHead(nn.Module):
    """Local affine maps of the sources, predicted on a coarse grid.

    ``fused = a visible + b thermal + m relu(thermal - visible) + c`` with ``a, b`` in (-1/2, 3/2)
    and ``m`` in (-1, 1), all interpolated from the grid. ``c`` is such that without ``m`` the means
    of the grid's cells become ``w`` of the thermal and ``1 - w`` of the visible means, plus ``r``
    in (-1/2, 1/2): ``a`` and ``b`` decide the detail within a cell, ``w`` and ``r`` the brightness
    of cells, and ``m`` lets single pixels choose the brighter source. A vector of the scene shifts
    all of them before they are bounded.
    All of it starts at zero: an untrained network returns the mean of the sources.

    Args:
        channels: Channels of the feature maps.
        dim: Width of the scene's vector; 0: there is none.
    """

    def __init__(self, channels: int, dim: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 5, 3, padding=1)
        self.scene = nn.Linear(dim, 5, bias=False) if dim else None
        for weight in self.parameters():
            nn.init.zeros_(weight)

    def forward(self, x: Tensor, scene: Tensor, means: tuple[Tensor, Tensor]) -> Tensor:
        """Return the ``Bx4xhxw`` maps that :func:`apply_maps` takes.

        Args:
            x: ``BxCxhxw`` features of the cells.
            scene: ``BxD`` vector of the scene.
            means: Means of the cells, ``Bx1xhxw`` thermal and visible.
        """
        maps = self.conv(x)
        if self.scene is not None:
            maps = maps + self.scene(scene)[:, :, None, None]
        return _coefficients(maps.tanh().split(1, dim=1), means)


class FineAffineHead(nn.Module):
    """The local affine maps of :class:`AffineHead`, decided on half of the cells' edge.

    The maps come from a pixel shuffle, and the means are those of half cells, so that a cell can
    take one thing from one source and another from the other. ``r``, which belongs to no source, is
    as coarse as the cells.

    Args:
        channels: Channels of the feature maps.
        dim: Width of the scene's vector; 0: there is none.
    """

    def __init__(self, channels: int, dim: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 16, 3, padding=1)
        self.rest = nn.Conv2d(channels, 1, 1)
        self.scene = nn.Linear(dim, 5, bias=False) if dim else None
        for weight in self.parameters():
            nn.init.zeros_(weight)

    def forward(self, x: Tensor, scene: Tensor, means: tuple[Tensor, Tensor]) -> Tensor:
        """Return ``Bx4x2hx2w`` maps of ``BxCxhxw`` features and means of half cells.

        See :meth:`AffineHead.forward`.
        """
        maps, rest = shuffle(self.conv(x), 2), self.rest(x)
        if self.scene is not None:
            shift = self.scene(scene)[:, :, None, None]
            maps, rest = maps + shift[:, :4], rest + shift[:, 4:]
        r = F.interpolate(rest.tanh(), scale_factor=2.0, mode="bilinear")
        return _coefficients((*torch.split(maps.tanh(), 1, dim=1), r), means)


def _coefficients(maps: Sequence[Tensor], means: tuple[Tensor, Tensor]) -> Tensor:
    """Return the ``Bx4xhxw`` maps of :func:`apply_maps`; see :class:`AffineHead`.

    Args:
        maps: ``a, b`` less 1/2, ``m``, ``2 w - 1`` and ``2 r``, each ``Bx1xhxw`` in (-1, 1).
        means: ``Bx1xhxw`` means of thermal and visible over the squares that share a decision.
    """
    a, b, m, w, r = maps
    hot, seen = means
    a, b = a + 0.5, b + 0.5
    c = torch.lerp(seen, hot, w / 2 + 0.5) + r / 2 - a * seen - b * hot
    # m relu(thermal - visible) is m max(thermal, visible) - m visible
    return torch.cat((a - m, b, m, c), dim=1)


def apply_maps(maps: Tensor, thermal: Tensor, visible: Tensor) -> Tensor:
    """Return ``Bx1xHxW`` ``a visible + b thermal + m max(thermal, visible) + c`` in [0, 1].

    ``engine.exported.maps`` does the same in NumPy.

    Args:
        maps: ``a``, ``b``, ``m`` and ``c``, ``Bx4xhxw``; they are interpolated.
        thermal: ``Bx1xHxW``, whose edges are multiples of the maps'.
        visible: ``Bx1xHxW``.
    """
    edge = thermal.shape[-1] // maps.shape[-1]
    # In one call, which ONNX Runtime shares out among its threads by plane.
    planes = F.interpolate(maps, scale_factor=float(edge), mode="bilinear")
    a, b, m, c = (planes[:, part : part + 1] for part in range(4))
    fused = torch.addcmul(c, a, visible).addcmul_(b, thermal)
    return fused.addcmul_(m, torch.maximum(thermal, visible)).clamp(0, 1)


class TanhHead(nn.Module):
    """A 3x3 convolution and ``tanh / 2 + 1/2`` on the picture's own grid (CtrlFuse, section 4.1).

    Args:
        channels: Channels of the feature maps.
        down: Edge of a feature pixel in picture pixels; must be 1.
    """

    def __init__(self, channels: int, down: int) -> None:
        super().__init__()
        assert down == 1, "this head works on the picture's own grid"
        self.conv = nn.Conv2d(channels, 1, 3, padding=1)

    def forward(self, x: Tensor, thermal: Tensor, visible: Tensor) -> Tensor:  # noqa: ARG002
        """Return ``Bx1xHxW`` in [0, 1] from features ``BxCxHxW``; the sources are not used."""
        decoded: Tensor = self.conv(x)
        return decoded.tanh() / 2 + 0.5


def shuffle(x: Tensor, factor: int) -> Tensor:
    """Rearrange as ``pixel_shuffle``, contiguous; faster when channels are last."""
    batch, _, height, width = x.shape
    phases = x.permute(0, 2, 3, 1).reshape(batch, height, width, -1, factor, factor)
    return phases.permute(0, 3, 1, 4, 2, 5).reshape(batch, -1, height * factor, width * factor)


def smooth(x: Tensor) -> Tensor:
    """Filter ``BxCxHxW`` with the binomial ``[1 2 1] / 4`` in both directions, border repeated."""
    # As planes: with four dimensions the backward of replicate padding and torch.compile disagree
    # about which of them come last in memory.
    planes = F.pad(x.flatten(0, 1), (1, 1, 1, 1), mode="replicate")
    planes = (planes[..., :-2] + planes[..., 2:]).add_(planes[..., 1:-1], alpha=2)
    planes = (planes[..., :-2, :] + planes[..., 2:, :]).add_(planes[..., 1:-1, :], alpha=2)
    return planes.mul_(1 / 16).view(x.shape)
