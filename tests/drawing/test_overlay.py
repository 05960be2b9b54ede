"""What is drawn, and where."""

import numpy as np

from fusion_core.drawing import caption, draw_detections
from fusion_core.types import Detection

GRAY = np.full((480, 640, 3), 100, np.uint8)


def test_caption_names_all_that_is_known():
    assert caption(Detection("person", 0.876, (0, 0, 1, 1), 7, 36.54)) == "person #7 0.88 36.5C"
    assert caption(Detection("car", 0.5, (0, 0, 1, 1))) == "car 0.50"


def test_convention_the_frame_lies_on_the_outermost_pixels_of_the_box():
    """Box (100, 200, 50, 80) covers columns 100 to 149 and rows 200 to 279."""
    drawn = draw_detections(GRAY, [Detection("person", 0.9, (100, 200, 50, 80))])
    changed = (drawn != GRAY).any(axis=2)
    below = changed[205:]  # clear of the caption
    assert np.flatnonzero(below.any(axis=0)).tolist() == list(range(100, 150))
    assert np.flatnonzero(below.any(axis=1))[-1] + 205 == 279
    assert not changed[201:279, 101:149].any()


def test_the_picture_itself_stays_as_it_is():
    image = GRAY.copy()
    drawn = draw_detections(image, [Detection("person", 0.9, (100, 200, 50, 80))])
    assert np.array_equal(image, GRAY)
    assert drawn is not image
    assert draw_detections(image, []) is image


def test_captions_stay_in_the_picture():
    """At every corner something is written, and nothing is out of bounds."""
    for x, y in [(-20, -10), (600, 0), (0, 470), (630, 470)]:
        drawn = draw_detections(GRAY, [Detection("vehicle", 0.9, (x, y, 30, 20), 12)])
        assert (drawn != GRAY).any(axis=2).sum() > 500


def test_labels_keep_their_colours():
    colours = {}
    for label in ("person", "vehicle", "cycle"):
        drawn = draw_detections(GRAY, [Detection(label, 0.9, (100, 200, 50, 80))])
        colours[label] = tuple(drawn[279, 120])
    assert len(set(colours.values())) == 3
