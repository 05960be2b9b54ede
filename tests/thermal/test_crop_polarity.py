"""The part of a picture that is used, and which way heat is shown."""

import numpy as np
import pytest

from fusion_core.errors import ConfigError, EncodingError
from fusion_core.thermal import ThermalConfig, ThermalProcessor
from fusion_core.types import Frame

BARE = {"dead_pixels": False, "freeze_frames": 0, "midtone": 1.0}


def process(image, encoding, **settings):
    return ThermalProcessor(ThermalConfig(**BARE, **settings)).process(
        Frame(0, "thermal", image, encoding)
    )


@pytest.mark.parametrize(
    ("crop", "rows", "columns"),
    [
        ("", slice(0, 12), slice(0, 8)),
        ("upper", slice(0, 6), slice(0, 8)),
        ("lower", slice(6, 12), slice(0, 8)),
        ("1,2,5,7", slice(2, 9), slice(1, 6)),
    ],
)
@pytest.mark.parametrize("encoding", ["mono8", "rgb8"])
def test_only_the_chosen_part_is_used(crop, rows, columns, encoding):
    image = np.arange(96, dtype=np.uint8).reshape(12, 8)
    given = image if encoding == "mono8" else np.repeat(image[..., None], 3, 2)
    luminance = process(given, encoding, crop=crop).luminance
    np.testing.assert_allclose(luminance, image[rows, columns] / 255, atol=1e-6)


@pytest.mark.parametrize("crop", ["0,0,9,12", "4,0,5,12", "0,6,8,7"])
def test_part_outside_of_the_picture_is_named(crop):
    with pytest.raises(EncodingError, match=rf"8x12 pixels: thermal.crop {crop} lies outside"):
        process(np.zeros((12, 8), np.uint8), "mono8", crop=crop)


@pytest.mark.parametrize("crop", ["left", "1,2,3", "0,0,0,5", "-1,0,4,4", "1,2,3,4,5"])
def test_other_words_are_refused(crop):
    with pytest.raises(ConfigError, match="crop"):
        ThermalConfig(crop=crop)


@pytest.mark.parametrize("agc", ["auto", "percentile", "plateau", "off"])
@pytest.mark.parametrize(
    ("dtype", "encoding"), [("u1", "mono8"), ("u2", "mono16"), ("f4", "32FC1")]
)
def test_black_hot_is_inverted(agc, dtype, encoding):
    ramp = np.tile(np.linspace(0, 1, 64), (48, 1))
    ramp = (ramp * np.iinfo(dtype).max if dtype != "f4" else ramp).astype(dtype)
    white = process(ramp, encoding, agc=agc, polarity="white_hot").luminance[0]
    black = process(ramp, encoding, agc=agc, polarity="black_hot").luminance[0]
    assert (np.diff(white) >= 0).all()
    assert (np.diff(black) <= 0).all()
    assert black[0] > 0.9
    assert black[-1] < 0.1


def test_polarity_leaves_temperatures_as_they_are():
    counts = np.full((8, 8), 30_000, np.uint16)
    settings = {"unit": "kelvin", "scale": 0.01, "polarity": "black_hot"}
    # 30000 * .01 K - 273.15 K
    np.testing.assert_allclose(process(counts, "mono16", **settings).temperature, 26.85, atol=1e-3)
