import numpy as np
import pytest

from fusion_core.types import AlignedPair, Frame, FramePair, FusedFrame


@pytest.fixture
def make_fused():
    """Return a maker of results with a chosen image, stamp and name; all else may be given."""

    def make(number=0, stamp_ns=None, image=None, name="", **fields):
        if image is None:
            image = np.random.default_rng(number).integers(0, 256, (48, 64, 3), dtype=np.uint8)
        if stamp_ns is None:
            stamp_ns = round(number * 1e9 / 30)
        height, width = image.shape[:2]
        visible = Frame(stamp_ns, "visible", image, "rgb8", "rgb_optical", number, name=name)
        heat = np.zeros((height, width), np.float32)
        thermal = Frame(stamp_ns + 500, "thermal", heat, "32FC1")
        values = {
            "pair": FramePair(stamp_ns, visible, thermal, 500),
            "aligned": AlignedPair(stamp_ns, image, heat, np.ones((height, width), bool)),
        }
        return FusedFrame(number, stamp_ns, image, **{**values, **fields})

    return make
