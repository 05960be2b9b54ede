"""What the trackers are given: detections of scenes whose objects are known, frame by frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np

from fusion_core.detection.camera_motion import CameraMotion, Motion, moved_box
from fusion_core.detection.labels import CLASS_OF
from fusion_core.types import AlignedPair, Box, Detection, Frame, SceneTruth
from fusion_lab.synthetic import SyntheticScene
from fusion_lab.synthetic.scene import START_NS

_SWING_PX: Final = np.array([70.0, 35.0])
_SWING_HZ: Final = np.array([0.9, 1.3])
_ROLL_DEG: Final = 2.0
_GAP_S, _GAP_EVERY_S, _LOSS = 0.4, 2.5, 0.5


@dataclass(frozen=True, slots=True)
class Observation:
    """One frame as the trackers get it.

    Attributes:
        stamp_ns: Capture time in nanoseconds.
        detections: What the detector found, down to the low scores that prolong a track.
        motion: Motion of the camera since the frame before, None where it is unknown.
        truth: Objects that are visible now: identity, class, box.
        ignore: Regions in which objects could not be labelled.
        judged: Whether the objects of this frame are known.
    """

    stamp_ns: int
    detections: tuple[Detection, ...]
    motion: Motion | None
    truth: tuple[tuple[int, Detection], ...]
    ignore: tuple[Box, ...] = ()
    judged: bool = True


@dataclass(frozen=True, slots=True)
class Sequence:
    """A scene and what happens to its stream.

    Attributes:
        scene: Name of the synthetic scene.
        shaken: The camera swings by tens of pixels about once a second.
        dropped: Half of the frames are lost at random, and all for 0.4 s every 2.5 s.
        hidden_s: Every object is hidden for so many seconds of every four.
    """

    scene: str
    shaken: bool = False
    dropped: bool = False
    hidden_s: float = 0.0


SEQUENCES: Final[Mapping[str, Sequence]] = {
    "street": Sequence("day"),
    "smoke": Sequence("smoke"),
    "night": Sequence("night"),
    "dropped frames": Sequence("day", dropped=True),
    "swinging camera": Sequence("day", shaken=True),
    "hidden for 1 s": Sequence("day", hidden_s=1.0),
    "all of these": Sequence("smoke", shaken=True, dropped=True, hidden_s=1.0),
}
"""What is measured, by name."""

Find = Callable[[Frame, Frame], tuple[AlignedPair, tuple[Detection, ...]]]
"""Takes a visible and a thermal frame and gives the pair and what is in it."""
_HZ: Final = 15.0


def observe(sequence: Sequence, seed: int, seconds: float, find: Find) -> Iterator[Observation]:
    """Render a scene and iterate over what is found in it.

    Args:
        sequence: The scene and its faults.
        seed: Number of the world, and of the faults.
        seconds: Length.
        find: The detector.
    """
    rng, motion = np.random.default_rng(seed), CameraMotion()
    before: tuple[Detection, ...] = ()
    for visible, thermal in _pairs(sequence, seed, seconds):
        at = (visible.stamp_ns - START_NS) / 1e9
        if sequence.dropped and (at % _GAP_EVERY_S > _GAP_EVERY_S - _GAP_S or rng.random() < _LOSS):
            continue
        aligned, found = find(visible, thermal)
        step = motion.step(aligned, [detection.box for detection in before])
        truth = _objects(_truth(visible))
        if sequence.hidden_s:
            hidden = [(i, d) for i, d in truth if _is_hidden(i, at, sequence.hidden_s)]
            truth = tuple(entry for entry in truth if entry not in hidden)
            found = tuple(f for f in found if not any(_covers(d, f) for _, d in hidden))
        yield Observation(visible.stamp_ns, found, step, truth)
        before = found


def imitated(rng: np.random.Generator, truth: SceneTruth) -> tuple[Detection, ...]:
    """Return detections as a middling detector would make them of a scene.

    It misses one object in ten, measures edges to 4 % of the height, takes one in fifty for
    another class, and finds one thing that is none in three pictures.
    """
    found = []
    for _, seen in _objects(truth):
        if rng.random() < 0.1:
            continue
        x, y, width, height = seen.box
        edges = np.array([x, y, x + width, y + height]) + rng.normal(0, 0.04 * height, 4)
        size = np.maximum(edges[2:] - edges[:2], 4.0)
        label = seen.label
        if rng.random() < 0.02:
            label = "cycle" if label == "person" else "person"
        score = float(np.clip(rng.normal(0.6, 0.2), 0.15, 0.99))
        box = (float(edges[0]), float(edges[1]), float(size[0]), float(size[1]))
        found.append(Detection(label, score, box))
    if rng.random() < 1 / 3:
        height = rng.uniform(30, 120)
        x, y = rng.uniform(0, 600), rng.uniform(100, 400)
        found.append(Detection("person", rng.uniform(0.2, 0.6), (x, y, 0.4 * height, height)))
    return tuple(found)


def _pairs(sequence: Sequence, seed: int, seconds: float) -> Iterator[tuple[Frame, Frame]]:
    """Iterate over registered pairs, both moved alike where the camera swings."""
    scene = SyntheticScene(
        sequence.scene, seed, seconds, rgb_hz=_HZ, thermal_hz=_HZ, registered=True
    )
    visible: Frame | None = None
    for frame in scene.frames():
        if frame.modality == "visible":
            visible = _swung(frame, seed) if sequence.shaken else frame
        elif visible is not None:
            yield visible, _swung(frame, seed) if sequence.shaken else frame


def _swung(frame: Frame, seed: int) -> Frame:
    """Return a frame as a camera that swings sees it."""
    at = (frame.stamp_ns - START_NS) / 1e9
    height, width = frame.image.shape[:2]
    roll = _ROLL_DEG * np.sin(2 * np.pi * 0.7 * at)
    middle = (width / 2, height / 2)
    matrix = np.asarray(cv2.getRotationMatrix2D(middle, roll, 1.0), np.float64)
    matrix[:, 2] += _SWING_PX * np.sin(2 * np.pi * _SWING_HZ * at + 0.7 * seed)
    image = cv2.warpAffine(frame.image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)
    truth = frame.truth
    if truth is not None:
        moved = [(label, moved_box(box, matrix)) for label, box in truth.boxes]
        kept = [
            (identity, entry)
            for identity, entry in zip(truth.identities, moved, strict=True)
            if _inside(entry[1], width, height)
        ]
        truth = replace(
            truth,
            boxes=tuple(entry for _, entry in kept),
            identities=tuple(identity for identity, _ in kept),
        )
    return replace(frame, image=image, truth=truth)


def _truth(visible: Frame) -> SceneTruth:
    assert visible.truth is not None, "visible frames of a scene have its truth"
    return visible.truth


def _inside(box: tuple[float, ...], width: int, height: int) -> bool:
    middle = box[0] + box[2] / 2, box[1] + box[3] / 2
    return 0 <= middle[0] < width and 0 <= middle[1] < height


def _objects(truth: SceneTruth) -> tuple[tuple[int, Detection], ...]:
    return tuple(
        (identity, Detection(CLASS_OF[label], 1.0, box))
        for identity, (label, box) in zip(truth.identities, truth.boxes, strict=True)
    )


def _is_hidden(identity: int, at: float, hidden_s: float) -> bool:
    """Return whether an object is hidden now; each has its own turn in four seconds."""
    return (at + 1.7 * identity) % 4.0 < hidden_s


def _covers(hidden: Detection, found: Detection) -> bool:
    """Return whether the middle of a detection lies in a hidden object."""
    x, y, width, height = found.box
    left, top, across, down = hidden.box
    return left <= x + width / 2 <= left + across and top <= y + height / 2 <= top + down
