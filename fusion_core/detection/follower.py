"""Objects followed through frames that the detector looks at, looks at late, or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from typing import Final, NamedTuple

import numpy as np

from fusion_core.detection.camera_motion import CameraMotion, Motion
from fusion_core.detection.tracking import ObjectTracker
from fusion_core.types import AlignedPair, Box, Detection

# Frames kept while the detector is at work; by then its objects have been forgotten.
_MOST_FRAMES: Final = 300


class _Step(NamedTuple):
    """One frame: its number, its stamp, and the camera's motion since the frame before."""

    number: int
    stamp_ns: int
    motion: Motion | None


class ObjectFollower:
    """Says of every frame where its objects are.

    What the detector finds in a frame may come when later ones have passed: the tracks take it in
    as of that frame, and are then predicted to the newest one again.

    Args:
        tracker: Gives objects their identity.
    """

    def __init__(self, tracker: ObjectTracker) -> None:
        self._tracker = tracker
        self._ahead: ObjectTracker | None = None  # the same tracks, as of the newest frame
        self._path: list[_Step] = []  # the frames after the last one that was looked at
        self._motion = CameraMotion()
        self._boxes: tuple[Box, ...] = ()
        self.frames = 0
        """Frames so far; the number of the newest one."""

    def advance(self, aligned: AlignedPair) -> None:
        """Take the pair of the next frame; ``update`` or ``predict`` says what is in it."""
        self.frames += 1
        motion = self._motion.step(aligned, self._boxes)
        self._path.append(_Step(self.frames, aligned.stamp_ns, motion))
        del self._path[:-_MOST_FRAMES]

    def update(
        self, number: int, stamp_ns: int, found: Sequence[Detection]
    ) -> tuple[Detection, ...]:
        """Take what the detector found in a frame; return the objects of the newest one.

        Args:
            number: Number of the frame that the detector looked at.
            stamp_ns: Its capture time in nanoseconds.
            found: What it found.
        """
        motion = _composed(step.motion for step in self._path if step.number <= number)
        objects = self._tracker.update(stamp_ns, found, motion)
        self._path = [step for step in self._path if step.number > number]
        self._ahead = None
        return self.predict() if self._path else self._placed(objects)

    def predict(self) -> tuple[Detection, ...]:
        """Return where the objects that were seen last are in the newest frame."""
        steps = self._path[-1:]
        if self._ahead is None:
            self._ahead, steps = self._tracker.branch(), self._path
        objects: tuple[Detection, ...] = ()
        for step in steps:
            objects = self._ahead.predict(step.stamp_ns, step.motion)
        return self._placed(objects)

    def _placed(self, objects: tuple[Detection, ...]) -> tuple[Detection, ...]:
        """Remember where objects are, as what moves on its own says nothing of the camera."""
        self._boxes = tuple(found.box for found in objects)
        return objects


def _composed(motions: Iterable[Motion | None]) -> Motion | None:
    """Return several motions as one; None where one of them is not known."""
    known = list(motions)
    if not known or any(motion is None for motion in known):
        return None
    return reduce(_after, (motion for motion in known if motion is not None))


def _after(first: Motion, second: Motion) -> Motion:
    """Return the motion of one motion and another after it."""
    shift = second[:, :2] @ first[:, 2] + second[:, 2]
    return np.column_stack([second[:, :2] @ first[:, :2], shift])
