"""Depth of visible streams in 16-bit containers."""

import numpy as np
import pytest

from fusion_core.transport.bit_depth import BitDepth
from fusion_core.transport.image_codec import to_modality


@pytest.mark.parametrize(
    ("largest", "bits"),
    [(0, 8), (255, 8), (256, 10), (1023, 10), (4095, 12), (4096, 14), (16383, 14), (65535, 16)],
)
def test_depth_is_the_smallest_that_holds_the_values(largest, bits):
    depth = BitDepth()
    depth.include(np.array([[0, largest]], np.uint16))
    assert depth.bits == bits


def test_depth_grows_and_never_shrinks():
    depth = BitDepth()
    levels = [800, 4000, 800, 100]
    shown = [int(depth.to_8_bit(np.full((2, 2), level, np.uint16))[0, 0]) for level in levels]
    assert shown == [800 >> 2, 4000 >> 4, 800 >> 4, 100 >> 4]


@pytest.mark.parametrize(("declared", "bits"), [(9, 10), (11, 12), (16, 16), (40, 16)])
def test_a_declared_depth_is_rounded_up(declared, bits):
    assert BitDepth(declared).bits == bits


@pytest.mark.parametrize("encoding", ["mono16", "rgb16"])
def test_visible_messages_of_one_stream_share_their_depth(encoding):
    shape = (4, 4, 3) if encoding == "rgb16" else (4, 4)
    depth = BitDepth()
    bright, _ = to_modality(np.full(shape, 4080, np.uint16), encoding, "visible", depth)
    dark, name = to_modality(np.full(shape, 160, np.uint16), encoding, "visible", depth)
    assert name == "rgb8"
    assert (bright == 255).all()
    assert (dark == 10).all()


def test_thermal_counts_in_three_channels_keep_their_levels():
    counts = (27000 + np.arange(40 * 30, dtype=np.uint16)).reshape(30, 40)
    image, encoding = to_modality(np.dstack([counts] * 3), "rgb16", "thermal")
    assert encoding == "mono16"
    np.testing.assert_array_equal(image, counts)


def test_thermal_false_colours_of_16_bits_stay_colour():
    rng = np.random.default_rng(3)
    picture = rng.integers(0, 65536, (30, 40, 3)).astype(np.uint16)
    image, encoding = to_modality(picture, "rgb16", "thermal")
    assert encoding == "rgb8"
    np.testing.assert_array_equal(image, picture >> 8)
