"""Labelled boxes of a training picture, as arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusion_core.detection.labels import CLASSES, read_labels

IGNORE: Final = -1
PERSON: Final = CLASSES.index("person")


class BoxLabels(NamedTuple):
    """The boxes of one picture.

    Attributes:
        boxes: ``Nx4`` float32 left, top, right, bottom in pixels.
        classes: ``N`` int64 index into ``CLASSES``, or ``IGNORE``.
    """

    boxes: NDArray[np.float32]
    classes: NDArray[np.int64]

    def of(self, number: int) -> NDArray[np.float32]:
        """Return ``Nx4`` boxes of a class, or of the ignored ones."""
        boxes: NDArray[np.float32] = self.boxes[self.classes == number]
        return boxes

    def people(self) -> BoxLabels:
        """Return those of people, and the ignored ones."""
        mine = (self.classes == PERSON) | (self.classes == IGNORE)
        return BoxLabels(self.boxes[mine], self.classes[mine])

    def unknown(self) -> BoxLabels:
        """Return the same boxes, all ignored."""
        return BoxLabels(self.boxes, np.full_like(self.classes, IGNORE))

    def beside(self, other: BoxLabels) -> BoxLabels:
        """Return both together."""
        boxes = np.concatenate([self.boxes, other.boxes])
        return BoxLabels(boxes, np.concatenate([self.classes, other.classes]))


NOTHING: Final = BoxLabels(np.zeros((0, 4), np.float32), np.zeros(0, np.int64))


def load_labels(folder: Path, stem: str, height: int, width: int) -> BoxLabels:
    """Read the labels of a picture, see :func:`fusion_core.detection.labels.read_labels`.

    Raises:
        SourceError: There is no label file, or a line of it cannot be understood.
    """
    found = read_labels(folder, stem, height, width)
    groups = [*(found.objects[name] for name in CLASSES), found.ignore]
    numbers = [*range(len(CLASSES)), IGNORE]
    classes = [np.full(len(boxes), n) for boxes, n in zip(groups, numbers, strict=True)]
    return BoxLabels(np.concatenate(groups).astype(np.float32), np.concatenate(classes))
