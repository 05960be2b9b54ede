"""How a picture is placed into the fixed input of a network, and how boxes come back.

Both sides count from the outer corner of the top-left pixel. OpenCV's resize maps that corner to
that corner, whatever the sizes, so a coordinate is multiplied by the ratio of the sizes of its
own axis and nothing else; the rounding of the placed size is thereby accounted for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from fusion_core.detection.boxes import FloatArray
from fusion_core.types import UInt8Image

Fit = Literal["centre", "corner", "stretch"]
Size = tuple[int, int]
PADDING = 114


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Where a picture lies in an input.

    Attributes:
        picture: Width and height of the picture in pixels.
        input: Width and height of the input.
        placed: Width and height of the picture in the input.
        offset: Columns to its left and rows above it.
    """

    picture: Size
    input: Size
    placed: Size
    offset: Size

    @classmethod
    def of(cls, picture: Size, size: Size, fit: Fit) -> Letterbox:
        """Return the letterbox of a picture into an input of a size.

        Args:
            picture: Width and height of the picture.
            size: Width and height of the input.
            fit: ``centre``: scaled to fit, in the middle (Ultralytics); ``corner``: scaled to fit,
                at the top left (YOLOX); ``stretch``: each axis scaled on its own (DETR).
        """
        if fit == "stretch":
            return cls(picture, size, size, (0, 0))
        ratio = min(size[0] / picture[0], size[1] / picture[1])
        # YOLOX cuts the placed size where the others round it.
        whole = int if fit == "corner" else round
        width, height = (max(1, whole(edge * ratio)) for edge in picture)
        if fit == "corner":
            return cls(picture, size, (width, height), (0, 0))
        offset = ((size[0] - width) // 2, (size[1] - height) // 2)
        return cls(picture, size, (width, height), offset)

    def paint(self, image: UInt8Image, interpolation: int = cv2.INTER_LINEAR) -> UInt8Image:
        """Return the input with an ``HxW`` or ``HxWxC`` uint8 picture in it and gray 114 around."""
        if image.shape[1::-1] != self.placed:
            image = np.asarray(cv2.resize(image, self.placed, interpolation=interpolation))
        if self.placed == self.input:
            return image
        (left, top), (width, height) = self.offset, self.placed
        canvas = np.full((*self.input[::-1], *image.shape[2:]), PADDING, np.uint8)
        canvas[top : top + height, left : left + width] = image
        return canvas

    def to_picture(self, boxes: FloatArray) -> FloatArray:
        """Return ``Nx4`` corners in the input as corners in the picture, cut at its border."""
        ratio = np.array(self.picture, np.float64) / np.array(self.placed, np.float64)
        moved = (boxes - np.tile(self.offset, 2)) * np.tile(ratio, 2)
        return np.asarray(np.clip(moved, 0, np.tile(self.picture, 2)))
