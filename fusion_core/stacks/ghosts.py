"""What moved between the pictures of a stack: found, and shown as the reference shows it.

A blend of two places of one thing is a ghost. So what does not agree with the reference is not
blended at all: it is replaced, before the fusion, by the reference's own pixels in the exposure of
the picture.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from fusion_core.stacks.exposures import in_exposure_of, level_curve, outside_curve
from fusion_core.types import FloatImage, Mask, UInt8Image

# Levels of noise and compression, and pixels of misalignment, that are no motion.
_NOISE: Final = 6.0
_MISALIGNMENT_PX: Final = 1.5
_LEAST_DIFFERENCE: Final = 16.0
# Deviations in pixels of the blurs that may lie between two focus settings.
_BLURS: Final = (1.0, 2.0, 3.5, 5.0, 7.0, 10.0, 14.0)
_LEAST_FOCUS_DIFFERENCE: Final = 20.0
# Things are looked for in a picture of this longer side.
_SIDE: Final = 400
# A moving thing has at least this share of the picture, and this radius in pixels. More than the
# largest share is not one thing that moved: the pictures then differ in something else.
_LEAST_SHARE: Final = 4e-4
_LARGEST_SHARE: Final = 0.25
_LEAST_RADIUS: Final = 2
_MARGIN: Final = 6
_FEATHER: Final = 3.0


def moving_in_exposures(picture: UInt8Image, reference: UInt8Image, valid: Mask) -> Mask:
    """Return where a picture of another exposure shows another thing than the reference.

    Args:
        picture: ``HxWx3`` uint8 RGB on the reference's grid.
        reference: The same.
        valid: ``HxW``, where the picture reaches.
    """
    seen, known, reached = _reduced(picture, reference, valid)
    used = reached
    moving = np.zeros_like(reached)
    for _ in range(2):  # the second time the curves leave out what moved
        planes = [_difference(_gray(seen), _gray(known), used)]
        colours = [_difference(seen[..., c], known[..., c], used) for c in range(3)]
        # Luma alone errs where one channel is clipped, a channel alone where a camera mixes them.
        planes.append(np.maximum.reduce(colours))
        moving = _solid((np.minimum(*planes) > _LEAST_DIFFERENCE) & reached)
        used = reached & ~moving
    return _enlarged(moving, valid)


def moving_in_focus(picture: UInt8Image, reference: UInt8Image, valid: Mask) -> Mask:
    """Return where a picture of another focus shows another thing than the reference.

    Args:
        picture: ``HxWx3`` uint8 RGB on the reference's grid.
        reference: The same.
        valid: ``HxW``, where the picture reaches.
    """
    *small, reached = _reduced(picture, reference, valid)
    factor = reached.shape[1] / valid.shape[1]
    seen, known = (_smooth(each, 1.0) for each in small)
    difference = _apart(seen, known)
    # Where one is the other out of focus, some blur of the sharp one gives the other.
    for sigma in _BLURS:
        for sharp, blurred in ((seen, known), (known, seen)):
            softened = _smooth(sharp, factor * sigma)
            difference = np.minimum(difference, _apart(softened, blurred))
    allowed = np.minimum(*(_slack(_gray(each)) for each in small))
    unlike = (difference - allowed > _LEAST_FOCUS_DIFFERENCE) & reached
    return _enlarged(_solid(unlike), valid)


def replaced(
    picture: UInt8Image, reference: UInt8Image, moving: Mask, valid: Mask, *, exposures: bool
) -> UInt8Image:
    """Return a picture that shows the reference's pixels where something moved or it ends.

    Args:
        picture: ``HxWx3`` uint8 RGB on the reference's grid.
        reference: The same.
        moving: ``HxW``, where something moved.
        valid: ``HxW``, where the picture reaches.
        exposures: They differ in exposure; else the reference's pixels are taken as they are.
    """
    missing = moving | ~valid
    if not missing.any():
        return picture
    used = valid & ~moving
    shown = in_exposure_of(reference, picture, used) if exposures and used.any() else reference
    share = _smooth(missing.astype(np.float32), _FEATHER)
    share = np.where(missing, 1, np.clip(2 * share, 0, 1))[..., None]
    return np.asarray(np.rint(share * shown + (1 - share) * picture), np.uint8)


def _reduced(
    picture: UInt8Image, reference: UInt8Image, valid: Mask
) -> tuple[UInt8Image, UInt8Image, Mask]:
    """Return both pictures, and where the first reaches, at the size of the search."""
    height, width = valid.shape
    factor = min(1.0, _SIDE / max(height, width))
    size = max(1, round(factor * width)), max(1, round(factor * height))
    seen, known = (
        np.asarray(cv2.resize(each, size, interpolation=cv2.INTER_AREA), np.uint8)
        for each in (picture, reference)
    )
    reached = cv2.resize(valid.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    return seen, known, np.asarray(reached)


def _enlarged(moving: Mask, valid: Mask) -> Mask:
    """Return a mask at the pictures' size."""
    size = valid.shape[1], valid.shape[0]
    large = cv2.resize(moving.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    return np.asarray(large & valid)


def _difference(seen: UInt8Image, known: UInt8Image, used: Mask) -> FloatImage:
    """Return by how many levels two planes of two exposures contradict each other."""
    smooth, kept = _smooth(seen, 1.5), _smooth(known, 1.5)
    forth = outside_curve(kept, smooth, level_curve(known, seen, used), _NOISE)
    back = outside_curve(smooth, kept, level_curve(seen, known, used), _NOISE)
    # One direction stretches noise as much as the other compresses it.
    return np.minimum(forth, back)


def _apart(first: FloatImage, second: FloatImage) -> FloatImage:
    """Return the largest difference of the channels, ``HxW``."""
    return np.asarray(cv2.absdiff(first, second).max(axis=2), np.float32)


def _slack(luma: FloatImage | UInt8Image) -> FloatImage:
    """Return by how many levels a luma may be wrong through misalignment."""
    across, down = (cv2.Sobel(luma, cv2.CV_32F, dx, 1 - dx, scale=1 / 8) for dx in (1, 0))
    slope = cv2.dilate(cv2.magnitude(across, down), np.ones((5, 5), np.uint8))
    return np.asarray(_MISALIGNMENT_PX * slope, np.float32)


def _solid(found: Mask) -> Mask:
    """Return the regions that are large enough to be a thing, without holes, with a margin."""
    side = 2 * _LEAST_RADIUS + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    opened = cv2.morphologyEx(found.astype(np.uint8), cv2.MORPH_OPEN, disc)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=8)
    large = stats[:, cv2.CC_STAT_AREA] >= _LEAST_SHARE * found.size
    large[0] = False
    wide = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * _MARGIN + 1, 2 * _MARGIN + 1))
    # Here and there a thing has the level that is expected.
    closed = cv2.morphologyEx(
        large[labels].astype(np.uint8), cv2.MORPH_CLOSE, wide, borderValue=0, iterations=2
    )
    things = np.asarray(cv2.dilate(closed, wide) > 0)
    return np.asarray(things & (things.mean() <= _LARGEST_SHARE))


def _gray(picture: UInt8Image) -> UInt8Image:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)


def _smooth(image: UInt8Image | FloatImage, sigma: float) -> FloatImage:
    return np.asarray(cv2.GaussianBlur(image.astype(np.float32), (0, 0), sigma), np.float32)
