"""Pictures inside a page."""

from __future__ import annotations

import base64

import cv2

from fusion_core.types import UInt8Image

_WEBP_QUALITY = 78


def picture_uri(picture: UInt8Image) -> str:
    """Return a gray or RGB picture as a ``data:`` address."""
    ordered = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".webp", ordered, [cv2.IMWRITE_WEBP_QUALITY, _WEBP_QUALITY])
    return f"data:image/webp;base64,{base64.b64encode(data.tobytes()).decode('ascii')}"
