"""Placement of labels beside boxes so that they do not overlap."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fusion_core.types import Box

Size = tuple[int, int]
Corner = tuple[int, int]


def place_labels(boxes: Sequence[Box], sizes: Sequence[Size], picture: Size) -> list[Corner | None]:
    """Return the top left corner of every label, None where there is no room for it.

    Labels are placed in the given order: above the box, below it, then inside at the top and at
    the bottom, aligned with the left and then the right side. The first position is taken that
    lies in the picture and covers neither an earlier label nor the middle of an earlier box.

    Args:
        boxes: ``(x, y, width, height)`` in pixels, the most important first.
        sizes: Width and height of the labels in pixels.
        picture: Width and height of the picture in pixels.
    """
    taken: list[Box] = []
    corners: list[Corner | None] = []
    for box, size in zip(boxes, sizes, strict=True):
        labels = ((*corner, *size) for corner in _candidates(box, size, picture))
        free = (label for label in labels if not any(_overlap(label, other) for other in taken))
        label = next(free, None)
        corners.append(label[:2] if label else None)
        taken += [label, _middle(box)] if label else [_middle(box)]
    return corners


def _candidates(box: Box, size: Size, picture: Size) -> Iterator[Corner]:
    """Yield the positions of a label that lie in the picture, the best first."""
    x, y, width, height = (round(value) for value in box)
    right = x + width - size[0]
    rows = (y - size[1], y + height, y, y + height - size[1])
    for top in rows:
        if not 0 <= top <= picture[1] - size[1]:
            continue
        for left in (x, right):
            yield max(0, min(left, picture[0] - size[0])), top


def _middle(box: Box) -> Box:
    """Return the inner half of a box, which later labels must not cover."""
    x, y, width, height = box
    return x + width / 4, y + height / 4, width / 2, height / 2


def _overlap(first: Box, second: Box) -> bool:
    return (
        first[0] < second[0] + second[2]
        and second[0] < first[0] + first[2]
        and first[1] < second[1] + second[3]
        and second[1] < first[1] + first[3]
    )
