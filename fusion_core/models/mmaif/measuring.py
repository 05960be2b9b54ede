"""What is measured on a picture before anything is learned: the evidence of what is wrong."""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from fusion_core.models.mmaif.statistics import statistics_of
from fusion_core.models.mmaif.windows import guided_line, largest, opened

EVIDENCE: Final = 14
"""Channels of the evidence."""
_STRIDE: Final = 8
_COARSE: Final = 4  # the veil is found on every fourth pixel
_CLEARED: Final = 0.95  # share of the veil that the dark channel takes for veil
_PATCH, _RADIUS, _FLAT = 1, 7, 1e-3  # on the coarse grid
_BRIGHTEST: Final = 1e-3
_COLUMNS: Final = 6.0
_LAPLACIAN: Final = ((1.0, -2.0, 1.0), (-2.0, 4.0, -2.0), (1.0, -2.0, 1.0))
_TINY: Final = 1e-3


class Measured(NamedTuple):
    """Measures of ``B`` pictures.

    Attributes:
        noise: ``Bx1x1x1`` deviation of the noise (Immerkaer 1996).
        veil: ``Bx2xH/4xW/4``: slope and offset by which the luma tells how much light passes (dark
            channel, He, Sun, Tang 2009).
        columns: ``Bx1x1xW`` each column's mean beyond that of its surroundings.
        levels: ``Bx3x1x1`` first percent, mean and last percent of the luma.
        evidence: ``BxEVIDENCExH/8xW/8`` all that, and where it is, for a network to read.
        statistics: ``BxSTATISTICS`` of the whole pictures, for a diagnosis.
    """

    noise: Tensor
    veil: Tensor
    columns: Tensor
    levels: Tensor
    evidence: Tensor
    statistics: Tensor

    def cut(self, chosen: slice, top: int, left: int, edge: int) -> Measured:
        """Return the measures of some pictures, for a square of them alone.

        Evidence and statistics stay those of the whole pictures: who reads them sees more than a
        crop.

        Args:
            chosen: The pictures.
            top: Top of the square, a multiple of 4.
            left: Left of it, a multiple of 4.
            edge: Edge of it, a multiple of 4.
        """
        rows, columns = (slice(at // 4, (at + edge) // 4) for at in (top, left))
        return Measured(
            self.noise[chosen],
            self.veil[chosen][..., rows, columns],
            self.columns[chosen][..., left : left + edge],
            self.levels[chosen],
            self.evidence[chosen],
            self.statistics[chosen],
        )


@torch.no_grad()
def measure(planes: Tensor) -> Measured:
    """Measure ``Bx3xHxW`` luma, Cb and Cr in [0, 1], multiples of 8 high and wide."""
    luma = planes[:, :1]
    ripple = F.conv2d(luma, luma.new_tensor(_LAPLACIAN)[None, None]).abs()
    noise = ripple.mean((1, 2, 3), keepdim=True) * ((torch.pi / 2) ** 0.5 / 6)
    air, veil = _veil(planes)
    means = luma.mean(2, keepdim=True)
    columns = means - _blurred(means)
    levels = _levels(luma)
    passed = F.avg_pool2d(veil, 2)
    low = F.avg_pool2d(luma, _STRIDE)
    local = torch.cat(
        (
            low - 0.5,
            _deviation(luma, low).add(_TINY).log() / 3 + 1,
            _pooled(F.pad(ripple, (1, 1, 1, 1))).add(_TINY).log() / 2 + 1,
            passed[:, :1] * low + passed[:, 1:],
            *(8 * F.avg_pool2d(part, 4) for part in _bright_and_narrow(luma)),
            *(20 * part for part in _block_edges(luma)),
        ),
        1,
    )
    whole = torch.cat(
        (
            noise.add(_TINY).log() / 2 + 1,
            levels,
            air[:, :1],
            10 * columns.std(-1, keepdim=True),
        ),
        1,
    ).expand(-1, -1, *low.shape[-2:])
    statistics = statistics_of(planes, local, whole[..., 0, 0])
    return Measured(noise, veil, columns, levels, torch.cat((local, whole), 1), statistics)


def _veil(planes: Tensor) -> tuple[Tensor, Tensor]:
    """Return luma, Cb and Cr of the air, where the dark channel is brightest, and a line.

    The line, ``Bx2xH/4xW/4``, tells by the luma how much light passes (He, Sun, Tang 2009).
    """
    colours = F.avg_pool2d(planes, _COARSE)
    # The least of red, green and blue.
    luma, blue, red = colours[:, :1], colours[:, 1:2] - 0.5, colours[:, 2:] - 0.5
    rgb = torch.cat(
        (luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue), 1
    )
    dark = -largest(-rgb.amin(1, keepdim=True), _PATCH)
    count = max(1, round(_BRIGHTEST * dark[0].numel()))
    place = dark.flatten(1).topk(count, 1).indices
    air = colours.flatten(2).gather(2, place[:, None].expand(-1, 3, -1)).mean(2)[..., None, None]
    bright = rgb.flatten(2).gather(2, place[:, None].expand(-1, 3, -1)).mean(2)[..., None, None]
    thin = (rgb / bright.clamp_min(0.1)).amin(1, keepdim=True)
    passed = 1 + _CLEARED * largest(-thin, _PATCH)
    return air, guided_line(luma, passed, _RADIUS, _FLAT)


def _levels(luma: Tensor) -> Tensor:
    sorted_ = luma[..., ::4, ::4].flatten(1).sort(1).values
    last = sorted_.shape[1] - 1
    low, high = sorted_[:, round(0.01 * last)], sorted_[:, round(0.99 * last)]
    return torch.stack((low, sorted_.mean(1), high), 1)[..., None, None]


def _blurred(row: Tensor) -> Tensor:
    reach = round(3 * _COLUMNS)
    place = torch.arange(-reach, reach + 1, device=row.device)
    kernel = torch.exp(-(place**2) / (2 * _COLUMNS**2))
    padded = F.pad(row, (reach, reach, 0, 0), mode="replicate")
    return F.conv2d(padded, (kernel / kernel.sum())[None, None, None].to(row))


def _deviation(luma: Tensor, mean: Tensor) -> Tensor:
    return (F.avg_pool2d(luma * luma, _STRIDE) - mean * mean).clamp_min(0).sqrt()


def _pooled(plane: Tensor) -> Tensor:
    return F.avg_pool2d(plane, _STRIDE)


def _bright_and_narrow(luma: Tensor) -> tuple[Tensor, ...]:
    """Return how much is brighter than its surroundings and narrow, in two sizes, at stride 2."""
    half = F.avg_pool2d(luma, 2)
    return half - opened(half, 1), half - opened(half, 3)


def _block_edges(luma: Tensor) -> tuple[Tensor, Tensor]:
    """Return how much steeper than other steps those are between blocks of 8, down and across."""
    found = []
    for dim in (-2, -1):
        steps = F.pad(luma.diff(dim=dim).abs(), (0, 1, 0, 0) if dim == -1 else (0, 0, 0, 1))
        edges = steps.narrow(dim, _STRIDE - 1, steps.shape[dim] - _STRIDE + 1)
        edges = edges[..., ::_STRIDE] if dim == -1 else edges[..., ::_STRIDE, :]
        pool = (_STRIDE, 1) if dim == -1 else (1, _STRIDE)
        found.append(F.avg_pool2d(edges, pool) - _pooled(steps))
    return found[0], found[1]
