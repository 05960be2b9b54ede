import numpy as np
import pytest

from fusion_lab.data import BoxLabels, Example
from fusion_lab.data.labels import IGNORE, NOTHING
from fusion_lab.training.detector.crops import Sampling, degrade_cameras
from fusion_lab.training.detector.paste import (
    POSTER,
    Cutout,
    Pasting,
    cut_people,
    paste_things,
    without_posters,
)
from fusion_lab.training.detector.pool import DetectionPool

ALWAYS = 0.9


def street(thermal=60, size=256):
    picture = np.full((size, size, 4), 110, np.uint8)
    picture[..., 3] = thermal
    return picture


def person():
    """A figure of 20 x 60 pixels, red, 50 levels warmer than where it was cut from."""
    shape = (60, 20)
    red = np.zeros((*shape, 3), np.float32) + np.float32([200, 30, 30])
    return Cutout(red, np.full(shape, 50, np.float32), np.ones(shape, np.float32), 0)


def paste(picture, labels=NOTHING, seed=0, **shares):
    rng = np.random.default_rng(seed)
    return paste_things(picture, labels, [person()], Pasting(**shares), rng)


@pytest.mark.parametrize("thermal", [40, 120])
def test_a_pasted_person_is_as_much_warmer_than_the_place_as_where_it_came_from(thermal):
    picture = street(thermal)
    labels = paste(picture, seed=3, people=ALWAYS)
    assert len(labels.boxes) >= 2
    assert set(labels.classes.tolist()) == {0}
    for left, top, right, bottom in labels.boxes.astype(int):
        middle = (top + bottom) // 2, (left + right) // 2
        rise = int(picture[middle][3]) - thermal
        assert 0.6 * 50 - 2 <= rise <= 1.2 * 50 + 2
        assert picture[middle][0] > 1.5 * picture[middle][1], "red to the colour camera"


def test_a_poster_is_seen_by_the_colour_camera_only():
    picture = street()
    labels = paste(picture, seed=3, posters=ALWAYS)
    assert set(labels.classes.tolist()) == {POSTER}
    assert (picture[..., 3] == 60).all()
    assert (picture[..., 0] != 110).any()


def test_a_poster_is_nobody_while_thermal_works_and_unknown_while_it_does_not():
    labels = BoxLabels(np.float32([[1, 1, 9, 9], [2, 2, 8, 8]]), np.array([POSTER, 0]))
    assert without_posters(labels, seen=True).classes.tolist() == [0]
    assert without_posters(labels, seen=False).classes.tolist() == [IGNORE, 0]
    for thermal_broken, expected in ((0.0, [0]), (1.0, [IGNORE, 0])):
        sampling = Sampling(size=64, blind=1.0, thermal=thermal_broken, frozen=0.0)
        rng = np.random.default_rng(0)
        _, both, alone = degrade_cameras(street(size=64), labels, None, sampling, rng)
        assert both.classes.tolist() == expected
        assert POSTER not in alone.classes


def test_clutter_is_no_person_and_parked_two_wheelers_are_cycles():
    classes = set()
    for seed in range(20):
        picture = street()
        labels = paste(picture, seed=seed, clutter=ALWAYS)
        classes |= set(labels.classes.tolist())
        assert (picture != street()).any() or not len(labels.boxes)
    assert classes == {2}


def test_what_is_labelled_stays_in_sight():
    """Nothing is pasted over a labelled object that fills most of the picture."""
    known = BoxLabels(np.float32([[0, 0, 256, 256]]), np.array([1]))
    for seed in range(5):
        labels = paste(street(), known, seed=seed, people=ALWAYS, clutter=ALWAYS)
        shares = [(b[2] - b[0]) * (b[3] - b[1]) / 256**2 for b in labels.boxes[1:]]
        assert all(share < 0.16 for share in shares)


def test_people_are_cut_out_where_their_mask_is():
    visible, thermal = np.full((100, 100, 3), 90, np.uint8), np.full((100, 100), 40, np.uint8)
    mask = np.zeros((100, 100), np.uint8)
    mask[22:78, 33:47] = 255
    thermal[mask > 0] = 160
    labels = BoxLabels(np.float32([[30, 20, 50, 80], [80, 60, 96, 98]]), np.array([0, 0]))
    pair = Example(visible, thermal, None, "vif", "", mask, labels, None, "a", "a")
    (cut,) = DetectionPool([pair]).people
    assert cut_people([pair])[0].cover.shape == cut.cover.shape == (60, 20)
    assert cut.warmth[30, 10] == pytest.approx(120)
    assert cut.warmth[1, 1] == pytest.approx(0)
    assert cut.cover[30, 10] == pytest.approx(1, abs=0.01)
    assert cut.cover[1, 1] == pytest.approx(0, abs=0.01)
