"""Sky, clouds and distant hills: they move with the camera's rotation only."""

from __future__ import annotations

import cv2
import numpy as np

from fusion_lab.synthetic.canvas import Canvas, Texture
from fusion_lab.synthetic.noise import fractal_noise

_PER_UNIT = 400.0
_LEFT, _TOP, _LOW = -1.4, -0.9, 0.3


def build_sky(rng: np.random.Generator) -> Texture:
    """Return sky, clouds and distant hills on the plane of unit depth."""
    rows = round((_LOW - _TOP) * _PER_UNIT)
    columns = round(-2 * _LEFT * _PER_UNIT)
    y = (np.arange(rows, dtype=np.float32) / _PER_UNIT + _TOP)[:, None]
    rise = np.clip(-y / 0.8, 0, 1)[..., None] ** 0.6
    low, high = np.array([206, 218, 226], np.float32), np.array([92, 140, 200], np.float32)
    rgb = np.broadcast_to(low + rise * (high - low), (rows, columns, 3)).copy()
    stretch = fractal_noise(rng, rows, columns, 170, 6, gain=0.55)
    flat = cv2.resize(stretch[:, : columns // 3], (columns, rows), interpolation=cv2.INTER_CUBIC)
    cloud = np.clip(0.55 * np.asarray(flat, np.float32) + 0.05, 0, 1) * np.clip(-y * 8, 0, 1)
    bright = 238 - 26 * np.clip(np.asarray(flat, np.float32) - 0.6, 0, 1.5)
    rgb += cloud[..., None] * (bright[..., None] - rgb)
    heat = -6.0 - 15.0 * rise[..., 0] + 8.0 * cloud
    ridge = 0.045 + 0.012 * fractal_noise(rng, 1, columns, 300, 7)
    hill = np.clip((y + ridge) * _PER_UNIT + 0.5, 0, 1)
    rgb += hill[..., None] * (np.array([120, 138, 142], np.float32) - rgb)
    heat += hill * (-1.5 - heat)
    return Texture.build(rgb, np.asarray(heat, np.float32), levels=1)


def paint_sky(canvas: Canvas, sky: Texture, clearness: float) -> None:
    """Fill the canvas with the sky; ``clearness`` scales how cold it looks to a thermal camera."""
    scale = np.array(
        [[_PER_UNIT, 0.0, -_LEFT * _PER_UNIT], [0.0, _PER_UNIT, -_TOP * _PER_UNIT], [0.0, 0.0, 1.0]]
    )
    layer = (sky.colour if canvas.modality == "visible" else sky.heat)[0]
    patch = cv2.warpPerspective(
        layer,
        scale @ canvas.camera.rays(),
        (canvas.owner.shape[1], canvas.owner.shape[0]),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    canvas.blend(patch, (slice(None), slice(None)), np.float32(0.0), clearness)
