"""Terms of the objective that compare a fused picture with its sources, or with a target.

Pictures are ``Bx3xHxW`` or, where luma is said, ``Bx1xHxW`` float32 in [0, 1].
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

from fusion_core.models.tcmoa.backbone import PATCH
from fusion_core.models.tcmoa.pyramids import halve
from fusion_lab.training.losses import sobel_magnitude

_SIDE: Final = 0.2  # weight of a kernel's outer rows; the middle one has 1
_STRUCTURE: Final = (11, 1.5)
_C: Final = 0.03**2
_EPS: Final = 1e-6
# Xydeas, Petrovic 2000: gain, steepness and middle for strength and for direction.
_STRENGTH: Final = (0.9994, 15.0, 0.5)
_DIRECTION: Final = (0.9879, 22.0, 0.8)
_NOISE: Final = 2.0 / 255**2  # of the eye, in the model behind VIF
_LEAST: Final = 1e-9
_TONES: Final = 4  # halvings down to the scale of tones
_EXPOSED: Final = 0.2


def signed_gradient(picture: Tensor) -> Tensor:
    """Return ``Gx + Gy`` of each channel, of the public code's kernel; borders are repeated."""
    p = F.pad(picture, (1, 1, 1, 1), mode="replicate")
    down = _SIDE * (p[..., :-2, :] + p[..., 2:, :]) + p[..., 1:-1, :]
    across = _SIDE * (p[..., :-2] + p[..., 2:]) + p[..., 1:-1]
    gx = down[..., 2:] - down[..., :-2]
    gy = across[..., 2:, :] - across[..., :-2, :]
    return gx + gy


def larger_gradient(fused: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Return the L1 distance to the gradient of the larger magnitude, with its sign."""
    one, other = signed_gradient(first), signed_gradient(second)
    target = torch.where(one.abs() >= other.abs(), one, other)
    return (signed_gradient(fused) - target).abs().mean()


def selected_patches(first: Tensor, second: Tensor, lumas: tuple[Tensor, Tensor]) -> Tensor:
    """Return, patch by patch, the source whose luma has the larger greatest Sobel magnitude."""
    best = [F.max_pool2d(sobel_magnitude(luma), PATCH, ceil_mode=True) for luma in lumas]
    chosen = F.interpolate((best[0] >= best[1]).float(), scale_factor=PATCH)
    chosen = chosen[..., : first.shape[-2], : first.shape[-1]]
    return chosen * first + (1 - chosen) * second


def to_target(fused: Tensor, target: Tensor) -> Tensor:
    """Return ``3 |grad F - grad T| + |F - T|``, means."""
    gradient = (signed_gradient(fused) - signed_gradient(target)).abs().mean()
    return 3 * gradient + (fused - target).abs().mean()


def structure_of_exposures(fused: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Return 1 - MEF-SSIM of lumas (Ma, Zeng, Wang 2015, eq. 4-12), one scale, no luminance."""
    moments = (
        _blur(torch.cat((first, second, fused)), _STRUCTURE),
        _blur(
            torch.cat(
                (first**2, second**2, fused**2, first * second, first * fused, second * fused)
            ),
            _STRUCTURE,
        ),
    )
    ma, mb, mf = moments[0].chunk(3)
    aa, bb, ff, ab, af, bf = moments[1].chunk(6)
    aa, bb, ff = ((x - m * m).clamp_min(0) for x, m in ((aa, ma), (bb, mb), (ff, mf)))
    ab, af, bf = ab - ma * mb, af - ma * mf, bf - mb * mf
    na, nb = (aa + _LEAST).sqrt(), (bb + _LEAST).sqrt()
    with torch.no_grad():
        agree = ((aa + bb + 2 * ab).clamp_min(0).sqrt() / (na + nb)).clamp(1e-6, 1 - 1e-6)
        power = torch.tan(torch.pi * agree / 2).clamp_max(10)
        top = torch.maximum(na, nb)
        wa, wb = (na / top) ** power, (nb / top) ** power
        ka, kb = wa / (wa + wb) / na, wb / (wa + wb) / nb
        norm = (ka * ka * aa + kb * kb * bb + 2 * ka * kb * ab).clamp_min(1e-12).sqrt()
    covariance = top * (ka * af + kb * bf) / norm
    return 1 - ((2 * covariance + _C) / (top**2 + ff + _C)).mean()


def reversed_tones(fused: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Return by how much fused luma falls, at coarse scales, where no source does: halos.

    Where both sources become brighter from one place to the next, the fused picture shall not
    become darker, and by no more brighter than the steeper one.
    """
    found = torch.zeros((), device=fused.device)
    pictures = [fused, first, second]
    for halving in range(1, _TONES + 1):
        pictures = [halve(picture) for picture in pictures]
        if min(fused.shape[-2:]) >> halving < 4:
            break
        for axis in (-2, -1):
            f, a, b = (picture.diff(dim=axis) for picture in pictures)
            low = torch.minimum(torch.minimum(a, b), torch.zeros_like(a))
            high = torch.maximum(torch.maximum(a, b), torch.zeros_like(a))
            found = found + ((low - f).relu() + (f - high).relu()).mean()
    return found


def tone(fused: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Return the L1 distance, at a coarse scale, to the better exposed mean of both lumas.

    Weights are those of MEF-SSIM's luminance (Ma et al. 2020, eq. 9): of the local and the global
    mean, each by its distance from the middle.
    """
    pictures = [fused, first, second]
    for _ in range(_TONES):
        if min(pictures[0].shape[-2:]) < 8:
            break
        pictures = [halve(picture) for picture in pictures]
    weights = [
        torch.exp(-((p - 0.5) ** 2 + (p.mean((2, 3), keepdim=True) - 0.5) ** 2) / (2 * _EXPOSED**2))
        for p in pictures[1:]
    ]
    total = weights[0] + weights[1] + _EPS
    target = (weights[0] * pictures[1] + weights[1] * pictures[2]) / total
    return (pictures[0] - target).abs().mean()


def lost_edges(fused: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Return 1 - Qabf of lumas, made differentiable (Xydeas, Petrovic 2000)."""
    gx, gy = _sobel(fused)
    strength = (gx * gx + gy * gy + _EPS).sqrt()
    kept, weights = [], []
    for source in (first, second):
        sx, sy = _sobel(source)
        its = (sx * sx + sy * sy + _EPS).sqrt()
        ratio = torch.minimum(its, strength) / torch.maximum(its, strength)
        along, across = (gx * sx + gy * sy).abs(), (gx * sy - gy * sx).abs()
        alike = 1 - torch.atan2(across + _LEAST, along + _LEAST) * (2 / torch.pi)
        kept.append(_sigmoid(ratio, _STRENGTH) * _sigmoid(alike, _DIRECTION) * its)
        weights.append(its)
    return 1 - torch.stack(kept).sum() / torch.stack(weights).sum()


def lost_information(fused: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Return 2 - VIF to one source - VIF to the other, of lumas (Sheikh, Bovik 2006, pixels)."""
    return 2 - fidelity(first, fused) - fidelity(second, fused)


def fidelity(reference: Tensor, picture: Tensor) -> Tensor:
    """Return the visual information fidelity of lumas at up to four scales."""
    told = torch.zeros((), device=picture.device)
    all_of_it = torch.zeros((), device=picture.device)
    r, d = reference, picture
    for edge in (17, 9, 5, 3):
        window = (edge, edge / 5)
        if edge < 17:
            r, d = (_blur(x, window)[..., ::2, ::2] for x in (r, d))
        if min(r.shape[-2:]) < edge:
            break
        means = _blur(torch.cat((r, d)), window).chunk(2)
        rr, dd, rd = _blur(torch.cat((r * r, d * d, r * d)), window).chunk(3)
        rr = (rr - means[0] ** 2).clamp_min(0)
        dd = (dd - means[1] ** 2).clamp_min(0)
        rd = rd - means[0] * means[1]
        gain = (rd / (rr + 1e-8)).clamp_min(0)
        noise = (dd - gain * rd).clamp_min(1e-8)
        told = told + (1 + gain**2 * rr / (noise + _NOISE)).log10().sum()
        all_of_it = all_of_it + (1 + rr / _NOISE).log10().sum()
    return told / all_of_it.clamp_min(_EPS)


def _sigmoid(x: Tensor, shape: tuple[float, float, float]) -> Tensor:
    gain, steep, middle = shape
    return gain * torch.sigmoid(steep * (x - middle))


def _sobel(image: Tensor) -> tuple[Tensor, Tensor]:
    p = F.pad(image, (1, 1, 1, 1), mode="replicate")
    down = p[..., :-2, :] + 2 * p[..., 1:-1, :] + p[..., 2:, :]
    across = p[..., :-2] + 2 * p[..., 1:-1] + p[..., 2:]
    return down[..., 2:] - down[..., :-2], across[..., 2:, :] - across[..., :-2, :]


def _blur(x: Tensor, window: tuple[int, float]) -> Tensor:
    """Return the valid part of a Gaussian filter of ``BxCxHxW``."""
    rows, columns = (_lines(length, *window).to(x) for length in x.shape[-2:])
    return rows @ x @ columns.T


@lru_cache(maxsize=64)
def _lines(length: int, edge: int, sigma: float) -> Tensor:
    """Return the filter of a line as ``(length - edge + 1) x length``."""
    offsets = torch.arange(length, dtype=torch.float32)
    distance = offsets - offsets[: length - edge + 1, None] - edge // 2
    weights = torch.exp(-(distance**2) / (2 * sigma**2)) * (distance.abs() <= edge // 2)
    return weights / weights.sum(1, keepdim=True)
