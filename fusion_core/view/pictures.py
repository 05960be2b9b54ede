"""The pictures of a result as a browser gets them."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Final

import cv2
import numpy as np

from fusion_core.types import FusedFrame, UInt8Image

_QUALITY: Final = (cv2.IMWRITE_JPEG_QUALITY, 82)
# Viewers whose screens are about alike share one encoded picture.
_WIDTHS: Final = (320, 480, 640, 960, 1280, 1920)


class PictureEncoder:
    """Encodes the pictures of the newest result, each once however many viewers it goes to.

    Not thread-safe: one thread encodes.
    """

    def __init__(self) -> None:
        self._fused: FusedFrame | None = None
        self._made: dict[tuple[str, int], bytes] = {}

    def encode(self, fused: FusedFrame, layers: Sequence[str], width: int) -> dict[str, bytes]:
        """Return JPEG files by layer; a layer that the result does not have is left out.

        Args:
            fused: The result.
            layers: Of ``visible``, ``thermal`` and ``fused``.
            width: Pixels that the viewer can show side by side.
        """
        if fused is not self._fused:
            self._fused, self._made = fused, {}
        limit = next((known for known in _WIDTHS if known >= width), fused.image.shape[1])
        found = {}
        for layer in dict.fromkeys(layers):
            if (layer, limit) not in self._made:
                picture = _layer(fused, layer)
                self._made[layer, limit] = b"" if picture is None else _jpeg(picture, limit)
            if self._made[layer, limit]:
                found[layer] = self._made[layer, limit]
        return found


def pack(header: Mapping[str, Any], pictures: Mapping[str, bytes]) -> bytes:
    """Return one binary message: length of the header (big endian, 32 bits), JSON, files."""
    sizes = [[layer, len(data)] for layer, data in pictures.items()]
    text = json.dumps({**header, "layers": sizes}, allow_nan=False).encode()
    return struct.pack(">I", len(text)) + text + b"".join(pictures.values())


def _layer(fused: FusedFrame, layer: str) -> UInt8Image | None:
    """Return a gray or RGB picture on the grid of the result."""
    aligned = fused.aligned
    if layer == "visible":
        return aligned.visible
    if layer == "thermal":
        thermal = aligned.thermal
        return None if thermal is None else np.asarray(cv2.convertScaleAbs(thermal, alpha=255))
    return fused.image


def _jpeg(picture: UInt8Image, width: int) -> bytes:
    rows, columns = picture.shape[:2]
    if columns > width:
        size = (width, max(1, round(rows * width / columns)))
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    ordered = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", ordered, _QUALITY)
    return data.tobytes()
