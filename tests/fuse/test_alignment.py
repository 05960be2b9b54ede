"""Stacks taken by hand come onto one grid, and stay where they are when that is not sure."""

import cv2
import numpy as np
import pytest
from scenes import exposed, scene, warp_of, warped

from fusion_core.stacks import prepare_stack
from fusion_core.stacks.alignment import align_picture


def stack_error(picture, expected, border=24):
    """Return the mean difference inside the border."""
    inside = slice(border, -border)
    return np.abs(picture[inside, inside].astype(int) - expected[inside, inside]).mean()


@pytest.mark.parametrize("stops", [-2.0, 2.0])
def test_an_exposure_that_moved_comes_back(stops):
    reference = scene(1)
    right = exposed(reference, stops)
    moved = warped(right, warp_of(reference.shape))
    found = align_picture(moved, reference)
    assert found.shift_px > 4
    assert stack_error(found.picture, right) < 0.25 * stack_error(moved, right)
    assert not found.valid.all()
    assert found.valid.mean() > 0.9


def test_focus_breathing_is_undone():
    sharp = scene(2)
    blurred = cv2.GaussianBlur(sharp, (0, 0), 2.5)
    first, second = sharp.copy(), blurred.copy()
    first[:, 160:], second[:, 160:] = blurred[:, 160:], sharp[:, 160:]
    breathed = warped(second, warp_of(sharp.shape, (0, 0), 0, 1.02))
    found = align_picture(breathed, first)
    assert stack_error(found.picture, second) < 0.4 * stack_error(breathed, second)


@pytest.mark.parametrize("stops", [-2.0, 0.0, 2.0])
def test_what_is_in_place_stays_untouched(stops):
    reference = scene(3)
    other = exposed(reference, stops)
    found = align_picture(other, reference)
    assert found.picture is other
    assert found.shift_px == 0
    assert found.valid.all()


def test_unrelated_and_empty_pictures_stay_untouched():
    for other in (scene(50), np.zeros_like(scene(4)), np.full_like(scene(4), 255)):
        assert align_picture(other, scene(4)).picture is other


def test_a_tiny_picture_stays_untouched():
    picture = scene(0, (24, 32))
    assert align_picture(picture, picture[::-1]).shift_px == 0


def test_alignment_can_be_switched_off():
    reference = scene(5)
    moved = warped(reference, warp_of(reference.shape))
    ready = prepare_stack([reference, moved], "mff", align=False, still=False)
    assert ready.pictures[1] is moved


@pytest.mark.data
@pytest.mark.parametrize("kind", ["mef", "mff"])
def test_real_pairs_end_nearer_to_where_they_were(recordings, kind):
    """Every thirteenth pair, moved by a known warp: the corners come back where they are moved."""
    before, after = [], []
    for path in sorted((recordings / kind / "a").iterdir())[::13]:
        if path.stem.startswith("savic"):  # not in register themselves
            continue
        first = cv2.imread(str(path))[..., ::-1]
        (other,) = (recordings / kind / "b").glob(f"{path.stem}.*")
        second = cv2.imread(str(other))[..., ::-1]
        matrix = warp_of(first.shape, (6.0, 4.0), 0.5, 1.006)
        moved = warped(second, matrix)
        before.append(stack_error(moved, second))
        after.append(stack_error(align_picture(moved, first).picture, second))
    before, after = np.array(before), np.array(after)
    assert np.median(after / before) < 0.4
    assert (after <= before * 1.05).all()
