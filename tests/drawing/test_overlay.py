"""What is drawn, and where."""

import numpy as np
import pytest

from fusion_core.drawing import caption, draw_detections
from fusion_core.drawing.labels import place_labels
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


@pytest.mark.parametrize("seed", range(5))
def test_labels_of_a_crowd_do_not_overlap_and_stay_in_the_picture(seed):
    rng = np.random.default_rng(seed)
    boxes = [tuple(rng.uniform((-20, -20, 5, 5), (640, 480, 200, 200))) for _ in range(40)]
    sizes = [(int(rng.integers(60, 150)), 14) for _ in boxes]
    corners = place_labels(boxes, sizes, (640, 480))
    painted = np.zeros((480, 640), int)
    for corner, (width, height) in zip(corners, sizes, strict=True):
        if corner is not None:
            x, y = corner
            assert min(corner) >= 0
            part = painted[y : y + height, x : x + width]
            assert part.shape == (height, width)
            part += 1
    assert painted.max() == 1
    assert corners[0] is not None
    assert sum(corner is not None for corner in corners) >= 10


def test_label_goes_above_then_below_then_inside_then_nowhere():
    """Nine times the same box, by hand: its width leaves room for two labels a row."""
    box, size = (100.0, 100.0, 100.0, 60.0), (45, 10)
    corners = place_labels([box] * 9, [size] * 9, (640, 480))
    above, below = [(100, 90), (155, 90)], [(100, 160), (155, 160)]
    inside = [(100, 100), (155, 100), (100, 150), (155, 150)]
    assert corners == [*above, *below, *inside, None]


def test_where_there_is_no_room_the_label_of_the_lower_score_is_left_out():
    box = (0, 0, 320, 480)
    sure, unsure = Detection("b" * 40, 0.9, box), Detection("a" * 40, 0.3, box)
    strip = np.full((14, 320, 3), 100, np.uint8)  # as high as one label, not as wide as two
    alone, both = draw_detections(strip, [sure]), draw_detections(strip, [unsure, sure])
    assert np.array_equal(alone, both)
    assert (draw_detections(strip, [unsure]) != strip).any(axis=2).sum() > 2000
