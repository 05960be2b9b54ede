"""What moved between the pictures of a stack appears once, as the reference shows it."""

import cv2
import numpy as np
import pytest
from scenes import exposed, scene

from fusion_core.stacks import prepare_stack
from fusion_core.stacks.exposures import best_exposed, level_curve


def with_thing(picture, x):
    """Return the picture with a chequered thing at a place."""
    image = picture.copy()
    board = np.kron(np.indices((6, 6)).sum(0) % 2, np.ones((8, 8)))[..., None]
    image[100:148, x : x + 48] = np.where(board > 0, (235, 60, 40), (20, 30, 60))
    return image


@pytest.mark.parametrize("stops", [-2.5, 2.0])
def test_a_thing_that_moved_between_exposures_is_shown_where_the_reference_has_it(stops):
    here, there = with_thing(scene(1), 60), with_thing(scene(1), 180)
    other = exposed(there, stops)
    ready = prepare_stack([here, other], "mef")
    reference = ready.reference
    assert ready.order[reference] == 0
    shown = ready.pictures[1 - reference]
    expected = exposed(here, stops)
    for x in (60, 180):
        place = np.s_[104:144, x + 4 : x + 44]
        before = np.abs(other[place].astype(int) - expected[place]).mean()
        after = np.abs(shown[place].astype(int) - expected[place]).mean()
        assert after < 0.35 * before
    assert 0.02 < ready.replaced[1 - reference] < 0.2
    assert ready.replaced[reference] == 0


def test_a_thing_that_moved_between_focus_settings_is_shown_where_the_first_has_it():
    sharp = scene(2)
    here, there = with_thing(sharp, 60), with_thing(sharp, 180)
    first, second = here.copy(), cv2.GaussianBlur(there, (0, 0), 2.0)
    first[:, 240:] = cv2.GaussianBlur(here, (0, 0), 2.0)[:, 240:]
    second[:, 240:] = there[:, 240:]
    ready = prepare_stack([first, second], "mff")
    assert np.array_equal(ready.pictures[0], first)
    for x in (60, 180):
        place = np.s_[108:140, x + 8 : x + 40]
        assert np.abs(ready.pictures[1][place].astype(int) - first[place]).mean() < 12


@pytest.mark.parametrize("stops", [-3.0, -1.0, 1.5, 3.0])
def test_still_exposures_stay_as_they_are(stops):
    picture = np.clip(
        scene(3).astype(int) + np.random.default_rng(0).normal(0, 3, (240, 320, 3)), 0, 255
    )
    other = exposed(scene(3), stops)
    ready = prepare_stack([picture.astype(np.uint8), other], "mef")
    assert max(ready.replaced) < 0.005


def test_still_focus_settings_stay_as_they_are():
    sharp = scene(4)
    for sigma in (1.0, 3.0, 6.0):
        blurred = cv2.GaussianBlur(sharp, (0, 0), sigma)
        ready = prepare_stack([sharp, blurred], "mff")
        assert max(ready.replaced) < 0.005


def test_pictures_of_other_scenes_are_not_called_motion():
    ready = prepare_stack([scene(5), scene(6)], "mff")
    assert np.array_equal(ready.pictures[1], scene(6))


def test_ghosts_can_be_kept():
    here, there = with_thing(scene(1), 60), exposed(with_thing(scene(1), 180), -2)
    ready = prepare_stack([here, there], "mef", still=False)
    assert max(ready.replaced) == 0


def test_any_order_gives_one_stack():
    pictures = [exposed(scene(7), stops) for stops in (-2, 0, 2)]
    ready = prepare_stack(pictures, "mef")
    turned = prepare_stack([pictures[2], pictures[0], pictures[1]], "mef")
    assert ready.order == (0, 1, 2)
    assert turned.order == (1, 2, 0)
    assert ready.reference == turned.reference == 1
    for one, other in zip(ready.pictures, turned.pictures, strict=True):
        assert np.array_equal(one, other)


def test_the_best_exposed_picture_is_that_with_least_black_and_white():
    pictures = [exposed(scene(8), stops) for stops in (-6, 0, 5)]
    assert best_exposed(pictures) == 1


def test_the_curve_between_two_exposures_is_the_cameras():
    here, there = scene(9), exposed(scene(9), 1.0)
    gray = [picture[..., 1].copy() for picture in (here, there)]
    curve = level_curve(gray[0], gray[1], np.ones(gray[0].shape, bool))
    levels = np.arange(40, 180)
    expected = 255 * np.clip((levels / 255) ** 2.2 * 2, 0, 1) ** (1 / 2.2)
    assert np.abs(curve[levels] - expected).max() < 1.5
