"""Where pictures lie in the input of a network."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusion_core.detection.letterbox import Letterbox

SIZES = st.tuples(st.integers(8, 2000), st.integers(8, 2000))


def test_convention_centre_as_ultralytics_places_it():
    """1280 x 720 in 640 x 640: half the size, (640 - 360) / 2 rows above."""
    letterbox = Letterbox.of((1280, 720), (640, 640), "centre")
    assert (letterbox.placed, letterbox.offset) == ((640, 360), (0, 140))


def test_convention_corner_as_yolox_places_it():
    """Its own pre-processing cuts the scaled size to whole pixels and keeps the top left corner."""
    letterbox = Letterbox.of((1281, 721), (416, 416), "corner")
    assert (letterbox.placed, letterbox.offset) == ((416, int(721 * 416 / 1281)), (0, 0))


def test_convention_stretch_fills_the_input():
    letterbox = Letterbox.of((1280, 720), (640, 640), "stretch")
    assert (letterbox.placed, letterbox.offset) == ((640, 640), (0, 0))
    back = letterbox.to_picture(np.array([[320.0, 320.0, 640.0, 640.0]]))
    assert back.tolist() == [[640, 360, 1280, 720]]


@given(SIZES, SIZES, st.sampled_from(["centre", "corner", "stretch"]))
def test_the_placed_picture_is_the_whole_picture(picture, size, fit):
    """It lies in the input, and its corners return as those of the picture."""
    letterbox = Letterbox.of(picture, size, fit)
    (left, top), (width, height) = letterbox.offset, letterbox.placed
    assert 0 <= left <= size[0] - width
    assert 0 <= top <= size[1] - height
    back = letterbox.to_picture(np.array([[left, top, left + width, top + height]], np.float64))
    assert back[0] == pytest.approx([0, 0, *picture])


@given(SIZES, SIZES, st.sampled_from(["centre", "corner"]))
def test_the_shape_is_kept_to_a_pixel(picture, size, fit):
    width, height = Letterbox.of(picture, size, fit).placed
    ratio = min(size[0] / picture[0], size[1] / picture[1])
    assert abs(width - ratio * picture[0]) <= 1 or width == 1
    assert abs(height - ratio * picture[1]) <= 1 or height == 1
