"""Losses of unsupervised fusion: intensity, structure, gradient, selection and contrast.

Images are ``Bx1xHxW`` float32 in [0, 1]; every loss is computed in float32 and averaged over all
pixels of the batch. The selection follows M2PN (section "saliency and residual energy"), the
contrastive terms the batch form used by its feature encoder.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

SSIM_WINDOW, SSIM_SIGMA = 11, 1.5
SSIM_C1, SSIM_C2 = 0.01**2, 0.03**2
LOCAL_WINDOW = 11
SURROUND_WINDOW = 63
EPS = 1e-6
FLAT = 1e-5


class Selection(NamedTuple):
    """Which source each pixel's intensity should come from.

    Attributes:
        thermal: ``Bx1xHxW`` in {0, 1}, 1 where the thermal intensity is kept.
        visible: Its complement.
        either: Part of ``visible`` where a brighter thermal intensity is welcome too.
    """

    thermal: Tensor
    visible: Tensor
    either: Tensor


def sobel_magnitude(image: Tensor) -> Tensor:
    """Return |Gx| + |Gy| of the 3x3 Sobel operator with replicated borders, same shape."""
    gx, gy = _sobel(image)
    return gx.abs() + gy.abs()


def _sobel(image: Tensor) -> tuple[Tensor, Tensor]:
    p = F.pad(image, (1, 1, 1, 1), mode="replicate")
    smooth_y = p[..., :-2, :] + 2 * p[..., 1:-1, :] + p[..., 2:, :]
    smooth_x = p[..., :-2] + 2 * p[..., 1:-1] + p[..., 2:]
    gx = smooth_y[..., 2:] - smooth_y[..., :-2]
    gy = smooth_x[..., 2:, :] - smooth_x[..., :-2, :]
    return gx, gy


def gradient_loss(fused: Tensor, thermal: Tensor, visible: Tensor) -> Tensor:
    """Return the mean distance of the fused Sobel magnitude to the larger one of the sources."""
    target = torch.maximum(sobel_magnitude(thermal), sobel_magnitude(visible))
    return (sobel_magnitude(fused) - target).abs().mean()


def overshoot_loss(fused: Tensor, thermal: Tensor, visible: Tensor) -> Tensor:
    """Return the mean of the fused Sobel magnitude beyond the larger one of the sources.

    Edges that no source has are artefacts (Petrovic, Xydeas 2005, N_abf); :func:`gradient_loss`
    alone pays no more for one of them than for a lost edge.
    """
    limit = torch.maximum(sobel_magnitude(thermal), sobel_magnitude(visible))
    return (sobel_magnitude(fused) - limit).relu().mean()


def halo_loss(fused: Tensor, thermal: Tensor, visible: Tensor) -> Tensor:
    """Return the mean square of the fused Sobel derivatives outside those of both sources and 0.

    Such a slope goes the other way than the sources', or is steeper: a dark rim around a bright
    disk, for example, which :func:`overshoot_loss` does not see where the disk's edge is steeper
    than the rim's. The square spares faint texture and removes what shows.
    """
    square = torch.zeros_like(fused)
    for f, t, v in zip(_sobel(fused), _sobel(thermal), _sobel(visible), strict=True):
        zero = torch.zeros_like(f)
        least = torch.minimum(torch.minimum(t, v), zero)
        most = torch.maximum(torch.maximum(t, v), zero)
        square = square + (f - torch.minimum(torch.maximum(f, least), most)).square()
    return square.mean()


def complement_loss(fused: Tensor, thermal: Tensor, visible: Tensor) -> Tensor:
    """Return 2 - corr(fused - visible, thermal) - corr(fused - thermal, visible), mean over crops.

    What the fused picture has beyond one source shall be what the other source shows: the sum of
    the correlations of differences (Aslantas, Bendes 2015), as a loss.
    """
    from_thermal = _correlation(fused - visible, thermal)
    return 2 - (from_thermal + _correlation(fused - thermal, visible)).mean()


def _correlation(a: Tensor, b: Tensor) -> Tensor:
    """Return Pearson's correlation per picture, ``Bx1``, near 0 where one of them is flat."""
    a = a - a.mean(dim=(-2, -1), keepdim=True)
    b = b - b.mean(dim=(-2, -1), keepdim=True)
    variances = (a.square().mean(dim=(-2, -1)) + FLAT) * (b.square().mean(dim=(-2, -1)) + FLAT)
    return (a * b).mean(dim=(-2, -1)) / variances.sqrt()


def _blur_matrix(length: int, like: Tensor) -> Tensor:
    """Return the valid part of the Gaussian filter of a line as ``(length - 10) x length``.

    A banded product is many times faster forwards and backwards on a CPU than a convolution of one
    channel.
    """
    offsets = torch.arange(length, dtype=like.dtype, device=like.device)
    centres = offsets[: length - SSIM_WINDOW + 1, None] + SSIM_WINDOW // 2
    distance = offsets - centres
    weights = torch.exp(-(distance**2) / (2 * SSIM_SIGMA**2))
    weights = weights * (distance.abs() <= SSIM_WINDOW // 2)
    return weights / weights.sum(dim=1, keepdim=True)


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Return the mean structural similarity, Gaussian window 11, sigma 1.5, range 1, valid region.

    Wang, Bovik, Sheikh, Simoncelli: Image quality assessment, IEEE TIP 2004, eq. 13, with
    population variances.
    """
    rows, columns = (_blur_matrix(length, a) for length in a.shape[-2:])
    moments = rows @ torch.cat([a, b, a * a, b * b, a * b]) @ columns.T
    mu_a, mu_b, aa, bb, ab = moments.chunk(5)
    cross = mu_a * mu_b
    squares = mu_a * mu_a + mu_b * mu_b
    numerator = (2 * cross + SSIM_C1) * (2 * (ab - cross) + SSIM_C2)
    denominator = (squares + SSIM_C1) * (aa + bb - squares + SSIM_C2)
    return (numerator / denominator).mean()


def saliency(thermal: Tensor) -> Tensor:
    """Return M2PN's thermal saliency sigmoid(Z + C) * sigmoid(Z) in (0, 1), same shape.

    Z is the image standardised by its own mean and deviation, C the difference to the mean of the
    11x11 neighbourhood (replicated borders) in units of the same deviation.
    """
    mean = thermal.mean(dim=(-2, -1), keepdim=True)
    deviation = thermal.std(dim=(-2, -1), keepdim=True, unbiased=False) + EPS
    half = LOCAL_WINDOW // 2
    padded = F.pad(thermal, (half, half, half, half), mode="replicate")
    local = (thermal - F.avg_pool2d(padded, LOCAL_WINDOW, stride=1)) / deviation
    standard = (thermal - mean) / deviation
    return torch.sigmoid(standard + local) * torch.sigmoid(standard)


def adds_contrast(thermal: Tensor, visible: Tensor) -> Tensor:
    """Return where thermal stands out from the visible surround at least as much as visible does.

    The surround is the mean of the visible image over 63x63 pixels, or what of them lies inside.
    False is, for example, a dark person in front of a bright sky, whom a bright thermal intensity
    would hide, and a tree that would be bleached.

    Returns:
        ``Bx1xHxW`` bool.
    """
    surround = smooth_box(visible)
    return (thermal - surround).abs() >= (visible - surround).abs()


def smooth_box(image: Tensor) -> Tensor:
    """Return the mean over the 63x63 pixels around each pixel, or what of them lies inside."""
    rows, columns = (_box_matrix(length, image) for length in image.shape[-2:])
    return rows @ image @ columns.T


def _box_matrix(length: int, like: Tensor) -> Tensor:
    """Return the moving average of a line over the surround's window, ``length x length``."""
    offsets = torch.arange(length, device=like.device)
    inside = (offsets - offsets[:, None]).abs() <= SURROUND_WINDOW // 2
    weights = inside.to(like.dtype)
    return weights / weights.sum(dim=1, keepdim=True)


def select(
    thermal: Tensor, visible: Tensor, salient: Tensor, k: float, *, guard: bool = False
) -> Selection:
    """Return the binary selection of M2PN from the energy difference of the two sources.

    With p = sigmoid(thermal - visible) and lambda_c = sigmoid(its mean binary entropy), the
    difference E_ir - E_vi is (1 + lambda_c p)(1 - 2 S). The thermal source is taken where that is
    below ``k`` standard deviations of itself.

    Args:
        thermal: ``Bx1xHxW``.
        visible: ``Bx1xHxW``.
        salient: ``saliency`` of the thermal image, taken over the whole picture that a crop came
            from, so that a crop without a target does not select its own noise.
        k: Threshold in standard deviations; larger means more thermal.
        guard: Take thermal only where it :func:`adds_contrast` (not in the paper).
    """
    p = torch.sigmoid(thermal - visible)
    entropy = -(p * torch.log(p + EPS) + (1 - p) * torch.log(1 - p + EPS))
    weight = torch.sigmoid(entropy.mean(dim=(-2, -1), keepdim=True))
    energy = (1 + weight * p) * (1 - 2 * salient)
    deviation = energy.std(dim=(-2, -1), keepdim=True, unbiased=False)
    allowed = adds_contrast(thermal, visible) if guard else torch.ones_like(energy).bool()
    chosen = (energy < k * deviation) & allowed
    kept, either = chosen.to(thermal.dtype), (allowed & ~chosen).to(thermal.dtype)
    return Selection(kept, 1 - kept, either)


def selected_intensity_loss(
    fused: Tensor, thermal: Tensor, visible: Tensor, selection: Selection
) -> Tensor:
    """Return the L1 distance to the source that the selection names, pixel by pixel."""
    from_thermal = (selection.thermal * (thermal - fused)).abs().mean()
    return from_thermal + (selection.visible * (visible - fused)).abs().mean()


def brighter_intensity_loss(
    fused: Tensor, thermal: Tensor, visible: Tensor, selection: Selection
) -> Tensor:
    """Return the L1 distance to the brighter source where the selection is open to either.

    Together with :func:`selected_intensity_loss` at equal weight, any value between the visible and
    the brighter source costs the same there, and structure decides; a hot target keeps its thermal
    intensity, also in front of bright smoke.
    """
    return (selection.either * (fused - torch.maximum(thermal, visible))).abs().mean()


def spread(a: Tensor) -> Tensor:
    """Return mean(-log(1 - sim)) over the pairs of different rows of ``BxD``, 0 for one row.

    Without it attraction alone turns all scene vectors the same way, and a memory that is read by
    similarity returns the same for every scene.
    """
    others = ~torch.eye(a.shape[0], dtype=torch.bool, device=a.device)
    return -torch.log(1 - _similarity(a, a)[others]).sum() / max(1, int(others.sum()))


def _similarity(a: Tensor, b: Tensor) -> Tensor:
    """Return all pairs' (1 + cosine) / 2 of two ``BxD`` sets as ``BxB``, inside (0, 1).

    The map keeps a gradient for opposite vectors, which clamping the raw cosine would lose.
    """
    cosine = F.normalize(a, dim=1) @ F.normalize(b, dim=1).T
    return ((1 + cosine) / 2).clamp(5e-4, 0.9995)


def repel(a: Tensor, b: Tensor) -> Tensor:
    """Return mean(-log(1 - sim)) over all pairs of two ``BxD`` sets: small when they differ."""
    return -torch.log(1 - _similarity(a, b)).mean()


def attract(a: Tensor, b: Tensor) -> Tensor:
    """Return mean(-log(sim) * exp(-rank / 4)); in each row rank 0 is the most similar vector."""
    sim = _similarity(a, b)
    rank = sim.argsort(dim=1, descending=True).argsort(dim=1).to(sim.dtype)
    return (-torch.log(sim) * torch.exp(-0.25 * rank)).mean()
