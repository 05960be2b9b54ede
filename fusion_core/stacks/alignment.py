"""Pictures of one stack on one grid: hand-held, vibrating, or with focus breathing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from fusion_core.registration import register
from fusion_core.registration.descriptors import compute_descriptors
from fusion_core.registration.projective import corner_distance
from fusion_core.registration.pyramid import SMALLEST
from fusion_core.registration.rig import Matrix
from fusion_core.types import FloatImage, Mask, UInt8Image

# Below this shift of the corners nothing is gained that resampling would not cost.
_LEAST_PX: Final = 1.0
_LEAST_CONFIDENCE: Final = 0.95
# Between two frames a camera turns by at most this share of its width.
_LARGEST_SHIFT: Final = 0.08
# So similar are edges of two exposures or focus settings in place, and no others.
_SURE_SIMILARITY: Final = 0.5
# Of what is left of perfect similarity a warp must make up this share.
_LEAST_GAIN: Final = 0.15


@dataclass(frozen=True, slots=True, eq=False)
class Alignment:
    """How one picture was brought onto the reference's grid.

    Attributes:
        picture: ``HxWx3`` uint8 RGB on the reference's grid; unchanged where it was not moved.
        valid: ``HxW``, False where the picture does not reach.
        shift_px: Mean shift of the corners in pixels; 0 where it was not moved.
        confidence: Confidence in the registration in [0, 1].
    """

    picture: UInt8Image
    valid: Mask
    shift_px: float
    confidence: float


def align_picture(picture: UInt8Image, reference: UInt8Image) -> Alignment:
    """Bring a picture onto another's grid, or leave it where that is not surely better.

    The registration compares orientations of edges, of which the contrast is normalised locally:
    exposures that are stops apart, and a part that is out of focus, still agree in them. A warp is
    taken when the edges agree clearly better after it than before, and it is sure.

    Args:
        picture: ``HxWx3`` uint8 RGB.
        reference: The same of the same size, which stays as it is.
    """
    height, width = reference.shape[:2]
    unmoved = Alignment(picture, np.ones((height, width), bool), 0.0, 1.0)
    if min(height, width) < SMALLEST:
        return unmoved
    # Areas of zero at the border would be taken for missing.
    gray = np.maximum(_gray(picture), 1)
    found = register(gray, reference)
    unsure = Alignment(picture, unmoved.valid, 0.0, found.confidence)
    if found.homography is None:
        return unsure
    shift_px = corner_distance(found.homography, np.eye(3), (width, height))
    if shift_px < _LEAST_PX:
        return unsure
    moved, valid = _warp(picture, found.homography)
    before = _similarity(gray, _gray(reference), valid)
    after = _similarity(_gray(moved), _gray(reference), valid)
    sure = found.confidence >= _LEAST_CONFIDENCE or after >= _SURE_SIMILARITY
    if not sure or after - before < _LEAST_GAIN * (1 - before):
        return unsure
    return Alignment(moved, valid, shift_px, found.confidence)


def shift_picture(picture: UInt8Image, reference: UInt8Image) -> Alignment:
    """Undo the shift between two frames of a camera, in a hundredth of the time of a search.

    The shift is found by phase correlation of locally normalised edges at half resolution, and
    taken when the edges agree better after it than before.

    Args:
        picture: ``HxWx3`` uint8 RGB.
        reference: The same of the same size, which stays as it is.
    """
    height, width = reference.shape[:2]
    valid = np.ones((height, width), bool)
    small = max(8, width // 2), max(8, height // 2)
    halves = [
        np.asarray(cv2.resize(_gray(each), small, interpolation=cv2.INTER_AREA), np.uint8)
        for each in (picture, reference)
    ]
    edges = [_edge_strength(half) for half in halves]
    window = cv2.createHanningWindow(small, cv2.CV_32F)
    (across, down), response = cv2.phaseCorrelate(edges[1], edges[0], window)
    scale = width / small[0]
    shift_px = math.hypot(scale * across, scale * down)
    unmoved = Alignment(picture, valid, 0.0, float(response))
    if not _LEAST_PX <= shift_px <= _LARGEST_SHIFT * width:
        return unmoved
    matrix = np.array([[1, 0, scale * across], [0, 1, scale * down], [0, 0, 1]])
    moved, seen = _warp(picture, matrix)
    half = np.asarray(cv2.resize(_gray(moved), small, interpolation=cv2.INTER_AREA), np.uint8)
    all_valid = np.ones(half.shape, bool)
    before = _similarity(halves[0], halves[1], all_valid)
    after = _similarity(half, halves[1], all_valid)
    if after - before < _LEAST_GAIN * (1 - before):
        return unmoved
    return Alignment(moved, seen, shift_px, float(response))


def _edge_strength(gray: UInt8Image) -> FloatImage:
    """Return gradient magnitudes relative to their surroundings."""
    image = cv2.GaussianBlur(gray.astype(np.float32), (0, 0), 1.0)
    strength = cv2.magnitude(
        cv2.Scharr(image, cv2.CV_32F, 1, 0, scale=1 / 32),
        cv2.Scharr(image, cv2.CV_32F, 0, 1, scale=1 / 32),
    )
    level = cv2.blur(strength, (25, 25)) + 1
    return np.asarray(strength / level, np.float32)


def _gray(picture: UInt8Image) -> UInt8Image:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)


def _warp(picture: UInt8Image, matrix: Matrix) -> tuple[UInt8Image, Mask]:
    """Return the picture seen through a map from reference to its pixels, and where it reaches."""
    height, width = picture.shape[:2]
    inverse = cv2.WARP_INVERSE_MAP
    moved = cv2.warpPerspective(
        picture,
        matrix,
        (width, height),
        flags=cv2.INTER_LANCZOS4 | inverse,
        borderMode=cv2.BORDER_REPLICATE,
    )
    inside = np.full((height, width), 255, np.uint8)
    reach = cv2.warpPerspective(inside, matrix, (width, height), flags=cv2.INTER_LINEAR | inverse)
    return np.asarray(moved, np.uint8), np.asarray(reach == 255)


def _similarity(first: UInt8Image, second: UInt8Image, valid: Mask) -> float:
    """Return the correlation of the edge descriptors in [-1, 1]."""
    one, other = (
        compute_descriptors(image.astype(np.float32), valid, 4) for image in (first, second)
    )
    weight: FloatImage = np.minimum(one.valid, other.valid)
    shared = float((np.einsum("chw,chw->hw", one.channels, other.channels) * weight).sum())
    energies = float((one.energy * weight).sum()) * float((other.energy * weight).sum())
    return shared / math.sqrt(max(energies, 1e-12))
