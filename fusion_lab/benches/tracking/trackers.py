"""The trackers that are compared, behind one interface."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from fusion_core.detection.tracking import KEEP_S, ObjectTracker
from fusion_core.errors import MissingExtraError
from fusion_core.types import Detection
from fusion_lab.benches.tracking.sequences import Observation

_REST: Final = 3
PEERS: Final[Mapping[str, str]] = {
    "ByteTrack (trackers)": "ByteTrackTracker",
    "OC-SORT (trackers)": "OCSORTTracker",
}
"""Name -> class of the package `trackers`."""


def own_tracks(
    observations: Sequence[Observation], threshold: float, *, motion: bool = True
) -> Iterator[tuple[Detection, ...]]:
    """Iterate over what the project's tracker gives.

    Args:
        observations: The frames.
        threshold: Score from which on a detection begins a track.
        motion: Take the camera's motion into account.
    """
    tracker = ObjectTracker(threshold, KEEP_S)
    for seen in observations:
        step = seen.motion if motion else None
        yield tracker.update(seen.stamp_ns, seen.detections, step)


def resting_tracks(
    observations: Sequence[Observation], threshold: float
) -> Iterator[tuple[Detection, ...]]:
    """Iterate over what the project's tracker gives when the detector looks at every third one."""
    tracker = ObjectTracker(threshold, KEEP_S)
    for number, seen in enumerate(observations):
        if number % _REST:
            yield tracker.predict(seen.stamp_ns, seen.motion)
        else:
            yield tracker.update(seen.stamp_ns, seen.detections, seen.motion)


def peer_tracks(
    name: str, observations: Sequence[Observation], threshold: float
) -> Iterator[tuple[Detection, ...]]:
    """Iterate over what a tracker of the package `trackers` gives, one per class.

    Its settings are its defaults, but for the detector's own threshold, the time that an unseen
    object is kept, and stamps, which it takes as well.

    Args:
        name: One of ``PEERS``.
        observations: The frames.
        threshold: The detector's threshold.

    Raises:
        MissingExtraError: The package is not installed.
    """
    package, boxes_type = _packages()
    kind = getattr(package, PEERS[name])
    options = {"high_conf_det_threshold": threshold, "lost_track_buffer": round(30 * KEEP_S)}
    if "ByteTrack" in name:
        options["track_activation_threshold"] = threshold
    of_class: dict[str, Any] = {}
    known: dict[tuple[str, int], int] = {}
    for seen in observations:
        labels = {found.label for found in seen.detections}
        for label in labels - of_class.keys():
            of_class[label] = kind(**options)
        result: list[Detection] = []
        for label, tracker in of_class.items():
            own = [found for found in seen.detections if found.label == label]
            given = tracker.update(_as_boxes(boxes_type, own), timestamp=seen.stamp_ns / 1e9)
            for corners, number in zip(given.xyxy, given.tracker_id, strict=True):
                if number >= 0:
                    identity = known.setdefault((label, int(number)), len(known) + 1)
                    result.append(_detection(label, corners, identity))
        yield tuple(result)


def _packages() -> tuple[Any, Any]:
    try:
        import supervision
        import trackers
    except ImportError:
        raise MissingExtraError(
            "other trackers need the package trackers: pip install --no-deps trackers supervision "
            "pydeprecate defusedxml rich (its requirement opencv-python would replace "
            "opencv-python-headless)"
        ) from None
    return trackers, supervision.Detections


def _as_boxes(kind: Any, found: Sequence[Detection]) -> Any:  # noqa: ANN401 - no types
    corners = np.array([f.box for f in found], np.float32).reshape(-1, 4)
    corners[:, 2:] += corners[:, :2]
    scores = np.array([f.score for f in found], np.float32)
    return kind(xyxy=corners, confidence=scores, class_id=np.zeros(len(found), int))


def _detection(label: str, corners: Sequence[float], identity: int) -> Detection:
    left, top, right, bottom = (float(edge) for edge in corners)
    found = Detection(label, 1.0, (left, top, right - left, bottom - top))
    return replace(found, track_id=identity)
