"""Ways to align a thermal with a visible picture: this project's, and others from OpenCV."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

import fusion_core as fc
from fusion_core.types import UInt8Image
from fusion_lab.benches.registration.geometry import Homography

Aligner = Callable[[UInt8Image, UInt8Image], Homography | None]
"""Takes gray thermal and visible ``HxW`` uint8 of one size; returns the 3x3 from visible to thermal
pixels, or None where it gives up."""

_Gray = NDArray[np.floating[Any] | np.uint8]
_ECC_STEPS = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 60, 1e-4)
_ECC_BLUR = 5
_ORB_FEATURES, _LEAST_MATCHES, _INLIER_PX = 2000, 4, 3.0


def register(thermal: UInt8Image, visible: UInt8Image) -> Homography | None:
    """Align with this project's own registration."""
    return fc.register(thermal, np.repeat(visible[..., None], 3, axis=2)).homography


def identity(_thermal: UInt8Image, _visible: UInt8Image) -> Homography:
    """Leave both as they are."""
    return np.eye(3)


def phase_correlation(thermal: _Gray, visible: _Gray) -> Homography:
    """Shift by the peak of the phase correlation."""
    window = cv2.createHanningWindow(visible.shape[::-1], cv2.CV_32F)
    shift, _ = cv2.phaseCorrelate(visible.astype(np.float32), thermal.astype(np.float32), window)
    matrix = np.eye(3)
    matrix[:2, 2] = shift
    return matrix


def phase_correlation_of_gradients(thermal: UInt8Image, visible: UInt8Image) -> Homography:
    """Shift by the peak of the phase correlation of gradient magnitudes."""
    return phase_correlation(gradient(thermal), gradient(visible))


def ecc(thermal: _Gray, visible: _Gray) -> Homography | None:
    """Maximise the enhanced correlation coefficient, from a quarter to full resolution.

    Evangelidis and Psarakis, PAMI 2008.
    """
    matrix = np.eye(3, dtype=np.float32)
    for factor in (4, 2, 1):
        scale = np.diag((1 / factor, 1 / factor, 1)).astype(np.float32)
        size = (visible.shape[1] // factor, visible.shape[0] // factor)
        small = [
            cv2.resize(image.astype(np.float32), size, interpolation=cv2.INTER_AREA)
            for image in (visible, thermal)
        ]
        level = scale @ matrix @ np.linalg.inv(scale)
        try:
            _, level = cv2.findTransformECC(  # type: ignore[call-overload]
                small[0], small[1], level, cv2.MOTION_HOMOGRAPHY, _ECC_STEPS, None, _ECC_BLUR
            )
        except cv2.error:
            return None
        matrix = np.linalg.inv(scale) @ level @ scale
    return np.asarray(matrix, np.float64)


def ecc_of_gradients(thermal: UInt8Image, visible: UInt8Image) -> Homography | None:
    """Maximise the enhanced correlation coefficient of gradient magnitudes."""
    return ecc(gradient(thermal), gradient(visible))


def orb(thermal: UInt8Image, visible: UInt8Image) -> Homography | None:
    """Match ORB features and fit a homography with MAGSAC++."""
    detector = cv2.ORB.create(_ORB_FEATURES)
    visible_points, visible_descriptors = detector.detectAndCompute(visible, None)
    thermal_points, thermal_descriptors = detector.detectAndCompute(thermal, None)
    if visible_descriptors is None or thermal_descriptors is None:
        return None  # type: ignore[unreachable]  # the stub leaves out that there may be none
    matcher = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True)
    matches = matcher.match(visible_descriptors, thermal_descriptors)
    if len(matches) < _LEAST_MATCHES:
        return None
    source = np.array([visible_points[match.queryIdx].pt for match in matches], np.float32)
    target = np.array([thermal_points[match.trainIdx].pt for match in matches], np.float32)
    found: Sequence[Homography | None] = cv2.findHomography(  # type: ignore[assignment]
        source, target, cv2.USAC_MAGSAC, _INLIER_PX
    )
    return found[0]


def gradient(image: _Gray) -> NDArray[np.float32]:
    """Return the gradient magnitude of a smoothed picture."""
    smooth = cv2.GaussianBlur(image.astype(np.float32), (0, 0), 1.5)
    across, down = cv2.Scharr(smooth, cv2.CV_32F, 1, 0), cv2.Scharr(smooth, cv2.CV_32F, 0, 1)
    return np.asarray(cv2.magnitude(across, down), np.float32)


NOTHING = "nothing"
OWN = "register (homography)"
ALIGNERS: Mapping[str, Aligner] = {
    NOTHING: identity,
    "ECC": ecc,
    "ECC on gradient magnitude": ecc_of_gradients,
    "phase correlation": phase_correlation,
    "phase correlation of gradients": phase_correlation_of_gradients,
    "ORB + MAGSAC": orb,
    OWN: register,
}
