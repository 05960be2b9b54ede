"""The first pictures of a synthetic street by day."""

import numpy as np

from fusion_lab.synthetic import SyntheticScene


def first_street(step):
    """Return its visible and thermal picture, uint8, of which every ``step``-th pixel is kept."""
    scene = SyntheticScene.from_url("synthetic://day?seed=3&seconds=1&rgb_hz=1&registered=1")
    found = {}
    for frame in scene.frames():
        image = frame.image if frame.image.dtype == np.uint8 else frame.image >> 8
        found.setdefault(
            frame.modality, np.ascontiguousarray(image[::step, ::step], dtype=np.uint8)
        )
    return found
