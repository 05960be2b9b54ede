"""Identities across frames.

ByteTrack's association (Zhang et al., ECCV 2022): detections of a high score are matched to tracks
first, those of a low score to the tracks that are left, so that an object that fades keeps its
identity. Tracks move with constant velocity in a Kalman filter that runs on capture stamps, not on
frame counts: after dropped frames the prediction reaches as much farther. Matching takes the
largest overlap first. After non-maximum suppression the boxes of a class hardly overlap, so this
and the optimal assignment are the same but for rare ties.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fusion_core.detection.boxes import FloatArray, corners_of, overlaps
from fusion_core.detection.camera_motion import Motion, moved_box
from fusion_core.types import Box, Detection

LOW_SCORE = 0.5
"""Share of the threshold from which on a detection may prolong a track."""

_HIGH_SCORE_IOU, _NEW_IOU, _LOW_SCORE_IOU = 0.2, 0.3, 0.5
_CONFIRMED = 2
# In box heights, ByteTrack's at 30 Hz: noise of a measured coordinate, 1/20; acceleration noise per
# s^1.5, from 1/160 per frame of speed in each frame, 30 / 160 * sqrt(30); first speed per s.
_NOISE, _SHAKE, _SPEED = 0.05, 1.0, 2.0


class _Track:
    """One object: constant-velocity Kalman filter of its centre and size.

    Noise is in parts of the box's height, the same for all four coordinates; they share one
    covariance of position and velocity.
    """

    def __init__(self, detection: Detection, stamp_ns: int) -> None:
        self.label = detection.label
        self.last = detection
        self.id: int | None = None
        self.hits = 1
        self.seen_ns = stamp_ns
        self._stamp_ns = stamp_ns
        self._position = _centred(detection.box)
        self._velocity = np.zeros(4)
        self._covariance = np.diag([_NOISE**2, _SPEED**2])

    def predict(self, stamp_ns: int) -> FloatArray:
        """Move to a stamp and return the box there as ``4`` centre and size."""
        dt = (stamp_ns - self._stamp_ns) / 1e9
        self._stamp_ns = stamp_ns
        step = np.array([[1, dt], [0, 1]])
        noise = _SHAKE**2 * np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]])
        self._covariance = step @ self._covariance @ step.T + noise
        self._position = self._position + self._velocity * dt
        self._position[2:] = np.maximum(self._position[2:], 1.0)
        return self._position

    def move(self, motion: Motion) -> None:
        """Take out the motion of the camera since the stamp of this track."""
        self._position = _centred(moved_box(_box(self._position), motion))
        self._velocity[:2] = motion[:, :2] @ self._velocity[:2]

    @property
    def box(self) -> Box:
        """Where the object is at the stamp predicted to."""
        return _box(self._position)

    def update(self, detection: Detection) -> None:
        """Take in a measurement at the stamp predicted to."""
        gain = self._covariance[:, 0] / (self._covariance[0, 0] + _NOISE**2)
        innovation = _centred(detection.box) - self._position
        self._position = self._position + gain[0] * innovation
        self._velocity = self._velocity + gain[1] * innovation
        self._covariance = self._covariance - np.outer(gain, self._covariance[0])
        self.hits += 1
        self.seen_ns = self._stamp_ns
        self.last = detection


class ObjectTracker:
    """Gives detections the identity of the object they show.

    An identity is given with the second sighting in a row and never again to another object.

    Args:
        threshold: Score from which on a detection begins a track; others only prolong tracks. It
            may be changed between two pictures.
        keep_s: How long an object may stay unseen and keep its identity, in seconds.
    """

    def __init__(self, threshold: float, keep_s: float) -> None:
        self.threshold = threshold
        self._keep_ns = round(keep_s * 1e9)
        self._tracks: list[_Track] = []
        self._stamp_ns: int | None = None
        self._looked_ns: int | None = None
        self._last_id = 0
        self.objects: Counter[str] = Counter()
        """Identities given so far, by label."""

    def predict(self, stamp_ns: int, motion: Motion | None = None) -> tuple[Detection, ...]:
        """Return where the objects are that the detector saw when it looked last.

        For pictures on which the detector rests. Only objects with an identity are given, each
        with the label and score of its last sighting; tracks that are not confirmed yet go on.

        Args:
            stamp_ns: Capture time of the picture in nanoseconds; tracks end when it goes back.
            motion: Motion of the camera since the picture before, of ``predict`` or ``update``;
                None when it is not known.
        """
        self._advance(stamp_ns, motion)
        return tuple(
            replace(track.last, box=track.box, track_id=track.id, predicted=True)
            for track in self._tracks
            if track.id is not None and track.seen_ns == self._looked_ns
        )

    def update(
        self, stamp_ns: int, detections: Sequence[Detection], motion: Motion | None = None
    ) -> tuple[Detection, ...]:
        """Return the detections of a high score and the others of known objects, with identities.

        Args:
            stamp_ns: Capture time in nanoseconds; tracks end when it goes back.
            detections: Detections of one picture, down to ``LOW_SCORE`` of the threshold.
            motion: As for :meth:`predict`.
        """
        where = self._advance(stamp_ns, motion)
        self._looked_ns = stamp_ns
        known = self._tracks
        high = [found for found in detections if found.score >= self.threshold]
        least = LOW_SCORE * self.threshold
        low = [found for found in detections if least <= found.score < self.threshold]
        confirmed = [track for track in known if track.id is not None]
        matches = _match(confirmed, high, where, _HIGH_SCORE_IOU)
        matched = {id(track) for track in matches.values()}
        alone = [track for track in confirmed if id(track) not in matched]
        matches |= _match(alone, low, where, _LOW_SCORE_IOU)
        rest = [found for found in high if id(found) not in matches]
        fresh = [track for track in known if track.id is None]
        matches |= _match(fresh, rest, where, _NEW_IOU)
        for found in detections:
            if id(found) in matches:
                self._extend(matches[id(found)], found)
        created = [_Track(found, stamp_ns) for found in rest if id(found) not in matches]
        # A new track that is not seen again in the next frame is dropped.
        self._tracks = [track for track in known if track.id is not None] + created
        return tuple(
            replace(found, track_id=matches[id(found)].id) if id(found) in matches else found
            for found in detections
            if found.score >= self.threshold or id(found) in matches
        )

    def _advance(self, stamp_ns: int, motion: Motion | None) -> dict[int, FloatArray]:
        """Move all tracks to a stamp, end the old ones; return ``id`` of track -> place there."""
        if self._stamp_ns is not None and stamp_ns < self._stamp_ns:
            self._tracks = []
        self._stamp_ns = stamp_ns
        self._tracks = [t for t in self._tracks if stamp_ns - t.seen_ns <= self._keep_ns]
        if motion is not None:
            for track in self._tracks:
                track.move(motion)
        return {id(track): track.predict(stamp_ns) for track in self._tracks}

    def _extend(self, track: _Track, detection: Detection) -> None:
        track.update(detection)
        if track.id is None and track.hits >= _CONFIRMED:
            self._last_id += 1
            track.id = self._last_id
            self.objects[track.label] += 1


def _match(
    tracks: Sequence[_Track],
    detections: Sequence[Detection],
    where: dict[int, FloatArray],
    least: float,
) -> dict[int, _Track]:
    """Return ``id`` of detection -> track, pairs of one label, largest overlap first."""
    if not tracks or not detections:
        return {}
    predicted = corners_of(np.stack([where[id(track)] for track in tracks]))
    measured = corners_of(np.stack([_centred(found.box) for found in detections]))
    iou = overlaps(predicted, measured)
    track_labels, labels = (
        np.array([each.label for each in side]) for side in (tracks, detections)
    )
    rows, columns = np.nonzero((iou >= least) & (track_labels[:, None] == labels))
    matches: dict[int, _Track] = {}
    taken: set[int] = set()
    for pair in np.argsort(-iou[rows, columns], kind="stable"):
        row, column = int(rows[pair]), int(columns[pair])
        if row not in taken and id(detections[column]) not in matches:
            taken.add(row)
            matches[id(detections[column])] = tracks[row]
    return matches


def _centred(box: Box) -> FloatArray:
    x, y, width, height = box
    return np.array([x + width / 2, y + height / 2, width, height])


def _box(centred: FloatArray) -> Box:
    x, y, width, height = (float(value) for value in centred)
    return (x - width / 2, y - height / 2, width, height)
