"""Detect scene changes, in a fraction of a millisecond per frame."""

from __future__ import annotations

from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.types import AlignedPair, FloatImage, Signature, UInt8Image

# Two neighbouring rows of every eight are used, and every fourth of their pixels.
_ROWS, _COLUMNS = 8, 4
_LEVELS = 32
# Upper ends of the bins of gradient magnitudes, in gray levels.
_STEPS = np.array([1, 2, 3, 5, 8, 12, 20, 32, 64, 256], np.float32)
# Share of the threshold below which a suspicion ends.
_CALM = 0.7
# Share of the distance to the old scene that frames of a new one may differ by.
_ALIKE = 0.35

Pixels = TypeVar("Pixels", UInt8Image, FloatImage)


class ChangeDetector:
    """Compare the brightness and detail of each pair with those of the scene's first pair.

    The distance of two histograms is the earth mover's, as a share of the range: it does not jump
    when everything becomes a little brighter, and a camera that turns within one scene hardly moves
    it. A change must show in several frames in a row that are nearer to each other than to the
    scene before, so that it is reported when the new scene is there and not while one fades into
    the other; a suspicion ends only when the distance has fallen clearly below the threshold, so
    that a value near it does not flicker.

    Args:
        threshold: Distance in (0, 1] that is a change.
        confirm: Frames in a row that must show it.
    """

    def __init__(self, threshold: float, confirm: int) -> None:
        self._threshold = threshold
        self._confirm = confirm
        self._reference: Signature | None = None
        self._candidate: Signature = ()
        self._suspicious = 0
        self.distance = 0.0

    def observe(self, pair: AlignedPair) -> bool:
        """Take the next pair; return True when a new scene has begun with it."""
        signature = signature_of(pair)
        if self._reference is None:
            self._reference = signature
            return False
        self.distance = _distance(signature, self._reference)
        if self.distance < _CALM * self._threshold:
            self._suspicious = 0
        elif self._suspicious and self._is_alike(signature):
            self._suspicious += 1
        elif self.distance > self._threshold:
            self._candidate, self._suspicious = signature, 1
        if self._suspicious < self._confirm:
            return False
        self._reference, self._suspicious = signature, 0
        return True

    def _is_alike(self, signature: Signature) -> bool:
        """Return whether a pair resembles the first one of the suspected scene."""
        return _distance(signature, self._candidate) < _ALIKE * self.distance


class CutDetector:
    """Compare the brightness and detail of each pair with those of the pair before.

    The distance is that of :class:`ChangeDetector`, which compares with a scene's first pair and
    wants a change confirmed: what moves slowly is no cut, and a cut is one at once.

    Args:
        threshold: Distance in (0, 1] that is a cut.
    """

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._before: Signature | None = None

    def observe(self, pair: AlignedPair) -> bool:
        """Take the next pair; return whether it has little to do with the one before."""
        before, self._before = self._before, signature_of(pair)
        return before is not None and _distance(before, self._before) > self._threshold


def signature_of(pair: AlignedPair) -> Signature:
    """Return cumulated histograms of visible and thermal brightness and detail; None if missing.

    Those that the pair carries are taken, so that they are counted once for all who compare pairs.
    """
    if pair.signature:
        return pair.signature
    found: list[NDArray[np.float32] | None] = [None] * 4
    if pair.visible is not None:
        green, below = (np.ascontiguousarray(rows) for rows in _rows(pair.visible[..., 1]))
        found[:2] = _brightness(green), _detail(green, below)
    if pair.thermal is not None:
        # convertScaleAbs rounds and saturates in one pass.
        heat, under = (
            np.asarray(cv2.convertScaleAbs(np.ascontiguousarray(rows), alpha=255), np.uint8)
            for rows in _rows(pair.thermal)
        )
        found[2:] = _brightness(heat), _detail(heat, under)
    return tuple(found)


def _rows(image: Pixels) -> tuple[Pixels, Pixels]:
    """Return rows of the picture and the rows right below them."""
    last = max(image.shape[0] - 1, 1)
    return image[:last:_ROWS, ::_COLUMNS], image[1 : last + 1 : _ROWS, ::_COLUMNS]


def _brightness(rows: UInt8Image) -> NDArray[np.float32]:
    counts = np.bincount(rows.ravel() >> 3, minlength=_LEVELS)
    return np.asarray(np.cumsum(counts) / rows.size, np.float32)


def _detail(rows: UInt8Image, below: UInt8Image) -> NDArray[np.float32]:
    steps = cv2.absdiff(rows, below).ravel()
    counts = np.bincount(_BIN_OF_STEP[steps], minlength=len(_STEPS))
    return np.asarray(np.cumsum(counts) / steps.size, np.float32)


def _distance(first: Signature, second: Signature) -> float:
    """Return the largest earth mover's distance in [0, 1]; 1 when a stream came or went."""
    largest = 0.0
    for one, other in zip(first, second, strict=True):
        if one is None or other is None:
            largest = largest if one is other else 1.0
        else:
            largest = max(largest, float(np.abs(one - other)[:-1].mean()))
    return largest


_BIN_OF_STEP = np.searchsorted(_STEPS, np.arange(256), side="right")
