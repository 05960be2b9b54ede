"""Other ways to align a thermal with a visible picture, all from OpenCV, to compare with.

Each takes gray visible and thermal uint8 pictures of one size and returns the 3x3 from visible to
thermal pixels, or None where it gives up.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

import fusion_core as fc

Array = NDArray[Any]
_CRITERIA = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 60, 1e-4)


def ours(thermal: Array, visible: Array) -> Array | None:
    return fc.register(thermal, np.repeat(visible[..., None], 3, axis=2)).homography


def identity(_: Array, __: Array) -> Array:
    return np.eye(3)


def phase_correlation(thermal: Array, visible: Array) -> Array:
    window = cv2.createHanningWindow(visible.shape[::-1], cv2.CV_32F)
    shift, _ = cv2.phaseCorrelate(visible.astype(np.float32), thermal.astype(np.float32), window)
    matrix = np.eye(3)
    matrix[:2, 2] = shift
    return matrix


def phase_correlation_of_gradients(thermal: Array, visible: Array) -> Array:
    return phase_correlation(gradient(thermal), gradient(visible))


def ecc(thermal: Array, visible: Array) -> Array | None:
    return _ecc(thermal.astype(np.float32), visible.astype(np.float32))


def ecc_of_gradients(thermal: Array, visible: Array) -> Array | None:
    return _ecc(gradient(thermal), gradient(visible))


def orb(thermal: Array, visible: Array) -> Array | None:
    detector = cv2.ORB_create(2000)
    first, one = detector.detectAndCompute(visible, None)
    second, other = detector.detectAndCompute(thermal, None)
    if one is None or other is None:
        return None
    matches = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True).match(one, other)
    if len(matches) < 4:
        return None
    here = np.float32([first[match.queryIdx].pt for match in matches])
    there = np.float32([second[match.trainIdx].pt for match in matches])
    matrix, _ = cv2.findHomography(here, there, cv2.USAC_MAGSAC, 3.0)
    return matrix


def gradient(image: Array) -> Array:
    smooth = cv2.GaussianBlur(image.astype(np.float32), (0, 0), 1.5)
    return cv2.magnitude(cv2.Scharr(smooth, cv2.CV_32F, 1, 0), cv2.Scharr(smooth, cv2.CV_32F, 0, 1))


def _ecc(thermal: Array, visible: Array) -> Array | None:
    """Evangelidis and Psarakis, coarse to fine: half, then whole resolution."""
    matrix = np.eye(3, dtype=np.float32)
    for factor in (4, 2, 1):
        scale = np.diag((1 / factor, 1 / factor, 1)).astype(np.float32)
        size = (visible.shape[1] // factor, visible.shape[0] // factor)
        small = [cv2.resize(im, size, interpolation=cv2.INTER_AREA) for im in (visible, thermal)]
        level = scale @ matrix @ np.linalg.inv(scale)
        try:
            _, level = cv2.findTransformECC(
                *small, level, cv2.MOTION_HOMOGRAPHY, _CRITERIA, None, 5
            )
        except cv2.error:
            return None
        matrix = np.linalg.inv(scale) @ level @ scale
    return matrix


METHODS = {
    "nothing": identity,
    "ECC": ecc,
    "ECC on gradient magnitude": ecc_of_gradients,
    "phase correlation": phase_correlation,
    "phase correlation of gradients": phase_correlation_of_gradients,
    "ORB + MAGSAC": orb,
    "register (homography)": ours,
}
