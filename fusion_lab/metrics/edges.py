"""Metrics of edges carried over from the sources into the fused image."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from fusion_core.types import Mask, UInt8Image
from fusion_lab.metrics.images import FloatArray


@dataclass(frozen=True, slots=True)
class _Edges:
    strength: FloatArray
    angle: FloatArray


def edge_preservation(fused: UInt8Image, a: UInt8Image, b: UInt8Image) -> float:
    """Return Qabf, the share of source edges that the fused image keeps (Xydeas, Petrovic 2000).

    Sobel with zero padding, orientation atan(Sy / Sx), constants Tg .9994, kg -15, Dg .5, Ta .9879,
    ka -22, Da .8, L = 1. As in the authors' published code, equal strengths give the strength
    itself instead of 1, which is 0 on flat pixels and saturates elsewhere. 0..1; nan when neither
    source has an edge.
    """
    f, ea, eb = (_zero_padded_edges(x) for x in (fused, a, b))
    weight = ea.strength.sum() + eb.strength.sum()
    kept = np.sum(_preservation(ea, f) * ea.strength) + np.sum(_preservation(eb, f) * eb.strength)
    return float(kept / weight) if weight > 0 else float("nan")


def artefact_share(fused: UInt8Image, a: UInt8Image, b: UInt8Image) -> float:
    """Return NABF, the share of fused edges that no source has (Kumar 2013); lower is better.

    Artefacts are pixels whose fused gradient is stronger than both sources'. Needs the 0..255
    range: the weights change their law at a gradient of 2 gray levels.
    """
    f, ea, eb = (_symmetric_edges(x) for x in (fused, a, b))
    wa, wb = _artefact_weight(ea.strength), _artefact_weight(eb.strength)
    new = (f.strength > ea.strength) & (f.strength > eb.strength)
    lost = (1.0 - _artefact_quality(ea, f, new)) * wa[new]
    lost += (1.0 - _artefact_quality(eb, f, new)) * wb[new]
    return float(lost.sum() / (wa.sum() + wb.sum()))


def _zero_padded_edges(image: UInt8Image) -> _Edges:
    # True convolution with the authors' kernels negates x and leaves y. The signs matter only
    # beside pixels with Sx = 0, whose orientation is +pi/2 by definition.
    gx = -cv2.Sobel(image, cv2.CV_64F, 1, 0, borderType=cv2.BORDER_CONSTANT)
    gy = cv2.Sobel(image, cv2.CV_64F, 0, 1, borderType=cv2.BORDER_CONSTANT)
    with np.errstate(divide="ignore", invalid="ignore"):
        angle = np.where(gx == 0, np.pi / 2, np.arctan(gy / gx))
    return _Edges(np.hypot(gx, gy), angle)


def _preservation(source: _Edges, fused: _Edges) -> FloatArray:
    low = np.minimum(source.strength, fused.strength)
    high = np.maximum(source.strength, fused.strength)
    with np.errstate(invalid="ignore"):
        ratio = np.where(low == high, fused.strength, low / high)
    alignment = 1.0 - np.abs(source.angle - fused.angle) / (np.pi / 2)
    strength_kept = 0.9994 / (1.0 + np.exp(-15.0 * (ratio - 0.5)))
    angle_kept = 0.9879 / (1.0 + np.exp(-22.0 * (alignment - 0.8)))
    return np.asarray(strength_kept * angle_kept)


def _symmetric_edges(image: UInt8Image) -> _Edges:
    # cv2.BORDER_REFLECT repeats the edge pixel, which for one pixel is symmetric extension.
    gx = cv2.Sobel(image, cv2.CV_64F, 1, 0, scale=0.125, borderType=cv2.BORDER_REFLECT)
    gy = cv2.Sobel(image, cv2.CV_64F, 0, 1, scale=0.125, borderType=cv2.BORDER_REFLECT)
    with np.errstate(divide="ignore", invalid="ignore"):
        angle = np.where((gx == 0) & (gy == 0), 0.0, np.arctan(gx / gy))
    return _Edges(np.hypot(gx, gy), angle)


def _artefact_weight(strength: FloatArray) -> FloatArray:
    return np.where(strength >= 2.0, strength**1.5, 0.001)


def _artefact_quality(source: _Edges, fused: _Edges, where: Mask) -> FloatArray:
    # Where an artefact is, the fused gradient is the stronger one and never zero.
    ratio = source.strength[where] / fused.strength[where]
    turned = np.abs(source.angle[where] - fused.angle[where])
    alignment = np.abs(turned - np.pi / 2) * (2.0 / np.pi)
    strength_kept = 0.9999 / (1.0 + np.exp(-19.0 * (ratio - 0.5)))
    angle_kept = 0.9995 / (1.0 + np.exp(-22.0 * (alignment - 0.5)))
    return np.asarray(np.sqrt(strength_kept * angle_kept))
