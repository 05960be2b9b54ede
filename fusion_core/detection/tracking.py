"""Identities across frames.

ByteTrack's association (Zhang et al., ECCV 2022): detections of a high score are matched to tracks
first, those of a low score to the tracks that are left, so that an object that fades keeps its
identity. Tracks move with constant velocity in a Kalman filter that runs on capture stamps, not on
frame counts: after dropped frames the prediction reaches as much farther. The camera's own motion
is taken out. Matching takes the largest overlap first. After non-maximum suppression the boxes of a
class hardly overlap, so this and the optimal assignment are the same but for rare ties.

What overlaps nothing may still be an object that was hidden, or whose frames were lost, for a
while: it is the nearest lost one of its size, if the filter's own uncertainty allows so far a way.
A detection that covers a track of another class well continues it: classes flicker, things do not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fusion_core.detection.boxes import FloatArray, corners_of, overlaps
from fusion_core.detection.camera_motion import Motion, moved_box
from fusion_core.types import Box, Detection

LOW_SCORE: Final = 0.5
"""Share of the threshold from which on a detection may prolong a track."""
KEEP_S: Final = 2.0
"""How long an object may stay unseen and keep its identity, in seconds."""

_HIGH_SCORE_IOU, _NEW_IOU, _LOW_SCORE_IOU, _OTHER_CLASS_IOU = 0.2, 0.3, 0.5, 0.6
_CONFIRMED = 2
_MOST_TRACKS: Final = 1000
# In box heights, ByteTrack's at 30 Hz: noise of a measured coordinate, 1/20; acceleration noise per
# s^1.5; first speed per s.
_NOISE, _SHAKE, _SPEED = 0.05, 0.25, 2.0
# Farthest way to a lost object: in standard deviations of the prediction, and in heights.
_REACH, _FARTHEST, _MOST_RATIO = 2.5, 1.0, 1.5


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

    def predict(self, stamp_ns: int) -> None:
        """Move to a stamp."""
        dt = (stamp_ns - self._stamp_ns) / 1e9
        self._stamp_ns = stamp_ns
        step = np.array([[1, dt], [0, 1]])
        noise = _SHAKE**2 * np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]])
        self._covariance = step @ self._covariance @ step.T + noise
        self._position = self._position + self._velocity * dt
        self._position[2:] = np.maximum(self._position[2:], 1.0)

    def move(self, motion: Motion) -> None:
        """Take out the motion of the camera since the stamp of this track."""
        self._position = _centred(moved_box(_box(self._position), motion))
        turned = motion[:, :2] @ self._velocity[:2]
        self._velocity = np.concatenate([turned, self._velocity[2:]])

    @property
    def spread(self) -> float:
        """Standard deviation of a measured coordinate from the predicted one, in pixels."""
        height: float = self._position[3]
        return float(np.sqrt(self._covariance[0, 0] + _NOISE**2)) * height

    @property
    def box(self) -> Box:
        """Where the object is at the stamp predicted to."""
        return _box(self._position)

    def copy(self) -> _Track:
        """Return a track that moves on its own from here."""
        return copy(self)  # whose values are replaced, never written into

    def update(self, detection: Detection) -> None:
        """Take in a measurement at the stamp predicted to."""
        gain = self._covariance[:, 0] / (self._covariance[0, 0] + _NOISE**2)
        innovation = _centred(detection.box) - self._position
        self._position = self._position + gain[0] * innovation
        self._velocity = self._velocity + gain[1] * innovation
        self._covariance = self._covariance - np.outer(gain, self._covariance[0])
        self.hits += 1
        self.seen_ns = self._stamp_ns
        self.label = detection.label
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
        self._advance(stamp_ns, motion)
        self._looked_ns = stamp_ns
        high = [found for found in detections if found.score >= self.threshold]
        least = LOW_SCORE * self.threshold
        low = [found for found in detections if least <= found.score < self.threshold]
        matches: dict[int, _Track] = {}
        confirmed = [track for track in self._tracks if track.id is not None]
        fresh = [track for track in self._tracks if track.id is None]
        for tracks, candidates, likeness in (
            (confirmed, high, _overlapping(_HIGH_SCORE_IOU)),
            (confirmed, low, _overlapping(_LOW_SCORE_IOU)),
            (confirmed, high, _overlapping(_OTHER_CLASS_IOU, any_class=True)),
            (confirmed, high, _within_reach),
            (fresh, high, _overlapping(_NEW_IOU)),
            (fresh, high, _within_reach),
        ):
            _match(tracks, candidates, likeness, matches)
        for found in detections:
            if id(found) in matches:
                self._extend(matches[id(found)], found)
        created = [_Track(found, stamp_ns) for found in high if id(found) not in matches]
        # A new track that is not seen again in the next frame is dropped.
        kept = [track for track in self._tracks if track.id is not None]
        kept.sort(key=lambda track: track.seen_ns)
        self._tracks = (kept + created)[-_MOST_TRACKS:]
        return tuple(
            replace(found, track_id=matches[id(found)].id) if id(found) in matches else found
            for found in detections
            if found.score >= self.threshold or id(found) in matches
        )

    def branch(self) -> ObjectTracker:
        """Return a tracker of the same objects, whose predictions leave this one as it is."""
        other = copy(self)
        other._tracks = [track.copy() for track in self._tracks]
        return other

    def _advance(self, stamp_ns: int, motion: Motion | None) -> None:
        """Move all tracks to a stamp, and end the old ones."""
        if self._stamp_ns is not None and stamp_ns < self._stamp_ns:
            self._tracks = []
        self._stamp_ns = stamp_ns
        self._tracks = [t for t in self._tracks if stamp_ns - t.seen_ns <= self._keep_ns]
        if motion is not None:
            for track in self._tracks:
                track.move(motion)
        for track in self._tracks:
            track.predict(stamp_ns)

    def _extend(self, track: _Track, detection: Detection) -> None:
        track.update(detection)
        if track.id is None and track.hits >= _CONFIRMED:
            self._last_id += 1
            track.id = self._last_id
            self.objects[track.label] += 1


Likeness = Callable[[Sequence[_Track], Sequence[Detection]], FloatArray]
"""Gives ``TxD`` how alike tracks and detections are; 0 and less where they are not at all."""


def _match(
    tracks: Sequence[_Track],
    detections: Sequence[Detection],
    likeness: Likeness,
    matches: dict[int, _Track],
) -> None:
    """Add matches of the tracks and detections that have none, the most alike first.

    Args:
        tracks: Tracks.
        detections: Detections.
        likeness: How alike they are.
        matches: ``id`` of detection -> track.
    """
    taken = {id(track) for track in matches.values()}
    tracks = [track for track in tracks if id(track) not in taken]
    detections = [found for found in detections if id(found) not in matches]
    if not tracks or not detections:
        return
    scores = likeness(tracks, detections)
    rows, columns = np.nonzero(scores > 0)
    for pair in np.argsort(-scores[rows, columns], kind="stable"):
        track, found = tracks[rows[pair]], detections[columns[pair]]
        if id(track) not in taken and id(found) not in matches:
            taken.add(id(track))
            matches[id(found)] = track


def _overlapping(least: float, *, any_class: bool = False) -> Likeness:
    """Return likeness by overlap, from ``least`` on."""

    def likeness(tracks: Sequence[_Track], detections: Sequence[Detection]) -> FloatArray:
        predicted, measured = _places(tracks, detections)
        iou = overlaps(corners_of(predicted), corners_of(measured))
        alike = iou >= least
        if not any_class:
            alike &= _same_class(tracks, detections)
        return np.asarray(np.where(alike, iou, 0.0))

    return likeness


def _within_reach(tracks: Sequence[_Track], detections: Sequence[Detection]) -> FloatArray:
    """Return likeness by nearness, as far as a track may have gone; sizes have to agree."""
    predicted, measured = _places(tracks, detections)
    way = np.linalg.norm(predicted[:, None, :2] - measured[None, :, :2], axis=2)
    spreads = np.array([track.spread for track in tracks])
    reach = np.minimum(_REACH * spreads, _FARTHEST * predicted[:, 3])
    ratio = np.abs(np.log(predicted[:, None, 2:] / measured[None, :, 2:])).max(axis=2)
    alike = (ratio < np.log(_MOST_RATIO)) & _same_class(tracks, detections)
    return np.asarray(np.where(alike, 1 - way / reach[:, None], 0.0))


def _places(
    tracks: Sequence[_Track], detections: Sequence[Detection]
) -> tuple[FloatArray, FloatArray]:
    """Return ``Tx4`` and ``Dx4`` centres and sizes."""
    return (
        np.stack([_centred(track.box) for track in tracks]),
        np.stack([_centred(found.box) for found in detections]),
    )


def _same_class(tracks: Sequence[_Track], detections: Sequence[Detection]) -> NDArray[np.bool_]:
    labels = np.array([found.label for found in detections])
    return np.asarray(np.array([track.label for track in tracks])[:, None] == labels)


def _centred(box: Box) -> FloatArray:
    x, y, width, height = box
    return np.array([x + width / 2, y + height / 2, width, height])


def _box(centred: FloatArray) -> Box:
    x, y, width, height = (float(value) for value in centred)
    return (x - width / 2, y - height / 2, width, height)
