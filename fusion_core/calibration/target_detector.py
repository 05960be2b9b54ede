"""Detection of a board's points in an image, with either polarity of contrast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.calibration.targets import Points, Target
from fusion_core.types import UInt8Image

_HALVE_FROM_PX: Final = 600  # a board is found as well, and faster, in half a image this wide
_TRY_WHOLE_TO_PX: Final = 800
_REFINE_SHARE: Final = 0.35  # of the distance between neighbouring corners
_REFINE_PX: Final = (2, 15)
_STOP: Final = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 40, 1e-3)
_LEAST_MARKED: Final = 6  # corners of a partly seen board
_MAX_TAG_ERROR: Final = 0.15  # of a tag's side: largest distance of a corner from its grid


@dataclass(frozen=True, eq=False)
class TargetDetection:
    """A board in an image.

    Attributes:
        ids: Which points of the target, ascending.
        pixels: ``Nx2``, where they are.
    """

    ids: NDArray[np.intp]
    pixels: Points


class TargetDetector:
    """Detects one target in the images of one camera.

    Printed boards are often inverted in thermal, where dark paper is warm and so bright: both
    polarities are tried, first the one of the last detection.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._inverted = False
        self._find = {
            "chessboard": self._chessboard,
            "circles": self._circles,
            "charuco": self._charuco,
            "aprilgrid": self._aprilgrid,
        }[target.kind]
        if target.kind == "charuco":
            self._boards = cv2.aruco.CharucoDetector(target.board())
        if target.kind == "aprilgrid":
            settings = cv2.aruco.DetectorParameters()
            settings.markerBorderBits = 2
            settings.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
            self._tags = cv2.aruco.ArucoDetector(target.markers(), settings)

    def detect_target(self, gray: UInt8Image) -> TargetDetection | None:
        """Return the board's points in a ``HxW`` image, None when it is not found."""
        # The chessboard's detector searches for saddle points, which have no polarity.
        polarities = (False,) if self._target.half_turn else (self._inverted, not self._inverted)
        for inverted in polarities:
            found = self._find(np.asarray(255 - gray, np.uint8) if inverted else gray)
            if found is not None:
                self._inverted = inverted
                return found
        return None

    def _chessboard(self, gray: UInt8Image) -> TargetDetection | None:
        size = (self._target.columns, self._target.rows)
        corners = None
        if gray.shape[1] >= _HALVE_FROM_PX:
            seen, corners = cv2.findChessboardCornersSB(cv2.pyrDown(gray), size)
            # Pixel 0 of the half-size image lies on pixel 0 of the full one.
            corners = corners * 2 if seen else None
        if corners is None and gray.shape[1] <= _TRY_WHOLE_TO_PX:
            seen, corners = cv2.findChessboardCornersSB(gray, size)
            corners = corners if seen else None
        if corners is None:
            return None
        found = _detection(np.arange(size[0] * size[1]), corners)
        return self._refined(gray, found, _REFINE_SHARE)

    def _circles(self, gray: UInt8Image) -> TargetDetection | None:
        size = (self._target.columns, self._target.rows)
        flags = cv2.CALIB_CB_ASYMMETRIC_GRID
        for extra in (0, cv2.CALIB_CB_CLUSTERING):
            seen, centres = cv2.findCirclesGrid(gray, size, flags=flags | extra)
            if seen:
                return _detection(np.arange(size[0] * size[1]), centres)
        return None

    def _charuco(self, gray: UInt8Image) -> TargetDetection | None:
        corners, ids, _, _ = self._boards.detectBoard(gray)
        if ids is None or len(ids) < _LEAST_MARKED:
            return None
        found = _detection(np.asarray(ids).ravel(), corners)
        if not _spans_plane(self._target.points[found.ids]):
            return None
        # The window must not reach the markers, which lie this far from a corner.
        clear = (1 - self._target.marker_m / self._target.size_m) / 2
        return self._refined(gray, found, min(clear, _REFINE_SHARE))

    def _refined(self, gray: UInt8Image, found: TargetDetection, share: float) -> TargetDetection:
        """Move corners to the saddles; the window is a share of the distance between them."""
        board = self._target.points[found.ids]
        matrix, _ = cv2.findHomography(board, found.pixels)
        size = self._target.size_m
        steps = np.concatenate([board + step for step in ((0, 0), (size, 0), (0, size))])
        here, right, below = np.split(_mapped(matrix, steps), 3)
        gap = min(np.linalg.norm(other - here, axis=1).min() for other in (right, below))
        window = int(np.clip(share * gap, *_REFINE_PX))
        start = found.pixels.astype(np.float32).reshape(-1, 1, 2)
        corners = cv2.cornerSubPix(gray, start, (window, window), (-1, -1), _STOP)
        return _detection(found.ids, corners)

    def _aprilgrid(self, gray: UInt8Image) -> TargetDetection | None:
        tags, ids, _ = self._tags.detectMarkers(gray)
        count = self._target.columns * self._target.rows
        known = [
            (int(tag_id), np.asarray(tag, np.float64).reshape(4, 2))
            for tag, tag_id in zip(
                tags, [] if ids is None else np.asarray(ids).ravel(), strict=True
            )
            if tag_id < count
        ]
        if len(known) < 2:
            return None
        ids = np.concatenate([4 * tag_id + np.arange(4) for tag_id, _ in known])
        # Conventions differ on which corner is a tag's first: use the one that fits one plane.
        return _most_planar(
            self._target,
            [
                _detection(ids, np.concatenate([np.roll(tag, turn, axis=0) for _, tag in known]))
                for turn in range(4)
            ],
        )


def _most_planar(target: Target, candidates: list[TargetDetection]) -> TargetDetection | None:
    """Return the candidate whose points are best mapped by one homography, None when none is."""
    errors = []
    for found in candidates:
        board = target.points[found.ids]
        matrix, _ = cv2.findHomography(found.pixels, board)
        errors.append(float(np.linalg.norm(_mapped(matrix, found.pixels) - board, axis=1).max()))
    best = int(np.argmin(errors))
    return candidates[best] if errors[best] < _MAX_TAG_ERROR * target.size_m else None


def _detection(ids: NDArray[Any], pixels: NDArray[Any]) -> TargetDetection:
    """Return the points by ascending id."""
    order = np.argsort(ids)
    return TargetDetection(
        ids[order].astype(np.intp), np.asarray(pixels, np.float64).reshape(-1, 2)[order]
    )


def _mapped(matrix: NDArray[Any], points: Points) -> Points:
    """Return points ``Nx2`` after a homography."""
    mapped = cv2.perspectiveTransform(points.reshape(-1, 1, 2), matrix)
    return np.asarray(mapped, np.float64).reshape(-1, 2)


def _spans_plane(points: Points) -> bool:
    """Return whether points span a plane: those of one row do not determine a board's tilt."""
    return bool(np.linalg.svd(points - points.mean(axis=0), compute_uv=False)[1] > 1e-6)
