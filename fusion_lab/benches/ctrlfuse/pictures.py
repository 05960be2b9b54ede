"""Pictures of what a mask does: visible, thermal with the mask, fused without and with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from fusion_core.models import load_model
from fusion_core.types import UInt8Image
from fusion_lab.benches.ctrlfuse.data import read_masked
from fusion_lab.benches.networks import mask_fuser
from fusion_lab.benches.pictures import write_picture
from fusion_lab.data import aligned_pair

_SMOKE, _SMOKE_FRAME, _NIGHT = "video/0117_1620", "0400", "msrs"
_EDGE, _MARGIN = 360, 60
_OUTLINE = (255, 210, 0)


def draw_effects(data: Path, folder: Path) -> None:
    """Write ``ctrlfuse_smoke.jpg`` and ``ctrlfuse_night.jpg``.

    Args:
        data: Folder that holds ``video/0117_1620`` and ``msrs``.
        folder: Where the pictures go.
    """
    smoke = [p for p in read_masked(data / _SMOKE) if p.example.name == _SMOKE_FRAME]
    night = [p for p in read_masked(data / _NIGHT) if p.example.name.endswith("N")]
    night.sort(key=lambda pair: -int((pair.planes[..., 3] > 0).sum()))
    fuse = mask_fuser(load_model("ctrlfuse"))
    for name, pairs in (("smoke", smoke), ("night", night[:2])):
        rows = []
        for pair in pairs:
            visible, thermal, mask = pair.example.first, pair.example.second, pair.target()
            aligned = aligned_pair(visible, thermal)
            shown = (
                visible,
                _outlined(thermal, mask),
                fuse(aligned, None),
                fuse(aligned, mask.astype(np.float32)),
            )
            crop = cropper(mask)
            rows.append(np.hstack([crop(image) for image in shown]))
        write_picture(folder / f"ctrlfuse_{name}.jpg", np.vstack(rows), quality=85)


def cropper(mask: UInt8Image) -> Callable[[UInt8Image], UInt8Image]:
    """Return what cuts the part around a target out of a picture, as 360x360."""
    x, y, width, height = cv2.boundingRect(mask)
    edge = min(max(width, height) + _MARGIN, *mask.shape)
    left, top = (
        int(np.clip(start + size // 2 - edge // 2, 0, whole - edge))
        for start, size, whole in ((x, width, mask.shape[1]), (y, height, mask.shape[0]))
    )

    def crop(image: UInt8Image) -> UInt8Image:
        part = image[top : top + edge, left : left + edge]
        return np.asarray(cv2.resize(part, (_EDGE, _EDGE), interpolation=cv2.INTER_AREA), np.uint8)

    return crop


def _outlined(thermal: UInt8Image, mask: UInt8Image) -> UInt8Image:
    colour = cv2.cvtColor(thermal, cv2.COLOR_GRAY2RGB)
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(cv2.drawContours(colour, outlines, -1, _OUTLINE, 1), np.uint8)
