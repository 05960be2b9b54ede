"""Pairs made from sharp pictures: what is in focus, what is clipped, and the order of numbers."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from fusion_core.errors import UsageError
from fusion_lab.data import split_by_scene
from fusion_lab.data.making import (
    ExposureRanges,
    FocusRanges,
    MadeExamples,
    SharpPicture,
    defocus,
    expose,
    exposure_pair,
    focus_pair,
    read_sharp_pictures,
)

CLEAN_FOCUS = FocusRanges(radius=(5, 10), breathing_share=0, noise=(0, 0), jpeg_share=0)
CLEAN_EXPOSURE = ExposureRanges(peak=(1e9, 1e9), read=(0, 0), jpeg_share=0)


def textured(seed=0, shape=(120, 160)):
    """Return a picture with detail everywhere."""
    rng = np.random.default_rng(seed)
    coarse = cv2.resize(
        rng.uniform(40, 215, (8, 10, 3)), shape[::-1], interpolation=cv2.INTER_CUBIC
    )
    fine = rng.normal(0, 25, (*shape, 1))
    return np.clip(coarse + fine, 0, 255).astype(np.uint8)


def white_square_before_black():
    """Return a white near square before a black far background, and the depth."""
    picture = np.zeros((80, 80, 3), np.uint8)
    picture[20:60, 20:60] = 255
    return picture, np.where(picture[..., 0] > 0, 0.2, 1.0).astype(np.float32)


def detail(picture):
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return cv2.GaussianBlur(np.abs(cv2.Laplacian(gray, cv2.CV_32F)), (0, 0), 3)


@pytest.mark.parametrize("seed", range(6))
def test_every_point_is_sharp_in_one_picture_and_many_are_blurred_in_the_other(seed):
    picture = textured(seed, (240, 320))
    pair = focus_pair(picture, np.random.default_rng(seed), CLEAN_FOCUS)
    assert np.array_equal(pair.target, picture)
    one, other, true = detail(pair.first), detail(pair.second), detail(picture)
    assert np.quantile(np.maximum(one, other) / true, 0.02) > 0.4
    assert np.mean(np.minimum(one, other) / true < 0.8) > 0.1
    # Neither is the sharp one everywhere.
    assert np.mean(one > 1.05 * other) > 0.01
    assert np.mean(other > 1.05 * one) > 0.01


@pytest.mark.parametrize("gaussian", [False, True])
def test_the_rim_of_a_blurred_near_thing_is_soft_and_a_sharp_one_does_not_leak(gaussian):
    picture, depth = white_square_before_black()
    behind = defocus(picture, depth, 0.6, 10, "near", gaussian=gaussian)
    # The background has no detail, so nothing changes where only it is blurred.
    np.testing.assert_allclose(behind, picture / 255, atol=1e-3)
    before = defocus(picture, depth, 0.6, 10, "far", gaussian=gaussian)
    outside, inside = before[40, 18, 0], before[40, 21, 0]
    assert 0.05 < outside < 0.45
    assert 0.55 < inside < 0.95
    assert before[40, 8].max() < 0.02


def test_without_blur_the_picture_stays_exactly():
    picture = textured(3)
    depth = np.linspace(0, 1, picture.size // 3, dtype=np.float32).reshape(picture.shape[:2])
    for focus in ("near", "far"):
        same = defocus(picture, depth, 0.5, 0.3, focus)
        assert np.array_equal(np.rint(same * 255).astype(np.uint8), picture)


def test_blur_grows_with_the_distance_from_what_is_in_focus():
    picture = textured(5, (160, 160))
    depth = np.repeat(np.linspace(1, 0, 160, dtype=np.float32)[:, None], 160, axis=1)
    seen = defocus(picture, depth, 0.5, 8, "near")
    share = detail(np.rint(seen * 255).astype(np.uint8)) / detail(picture)
    rows = share.mean(axis=1)
    assert rows[100:150].min() > 0.95  # in focus
    assert rows[60] > rows[40] > rows[15]
    assert rows[15] < 0.3


def test_focus_breathing_scales_the_second_picture_about_its_middle():
    picture = np.zeros((101, 141, 3), np.uint8)
    picture[50, 70] = picture[10, 130] = 255
    ranges = FocusRanges(
        radius=(0, 0), breathing=(0.05, 0.05), breathing_share=1, noise=(0, 0), jpeg_share=0
    )
    pair = focus_pair(picture, np.random.default_rng(0), ranges)
    assert np.array_equal(pair.first, picture)
    assert pair.second[50, 70].min() > 200
    corner = pair.second[:40, 100:, 0].astype(float)
    y, x = np.mgrid[0:40, 100:141]
    moved = (x * corner).sum() / corner.sum() - 130, (y * corner).sum() / corner.sum() - 10
    # 60 px right of and 40 px above the middle, times 5 %, away from it or towards it.
    expected = np.array([3.0, -2.0])
    assert np.allclose(moved, expected, atol=0.3) or np.allclose(moved, -expected, atol=0.3)


def test_exposure_is_linear_in_light_and_clips_at_both_ends():
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None], 8, axis=0)
    picture = np.dstack([ramp] * 3)
    stops = [-3.0, -1.0, 0.0, 1.0, 3.0]
    shots = expose(picture, stops, np.random.default_rng(1), CLEAN_EXPOSURE)
    assert np.array_equal(shots[2], picture)
    rows = np.array([shot[0, :, 0] for shot in shots], int)
    assert (np.diff(rows, axis=0) >= 0).all()  # more light, brighter
    assert (np.diff(rows, axis=1) >= 0).all()  # one curve, monotone
    assert (rows[-1] == 255).mean() > 0.3  # clipped white
    assert len(np.unique(rows[0, :40])) < 15  # what is dark merges
    # Two stops are two stops whichever part of the curve they are seen on: a value that one stop
    # less maps to v, and three less to w, are linked through v alone.
    from_one = dict(zip(rows[1], rows[0], strict=True))
    assert all(abs(from_one[v] - w) <= 1 for v, w in zip(rows[1], rows[0], strict=True))


def test_noise_is_that_of_a_sensor():
    gray = np.full((200, 200, 3), 128, np.uint8)
    ranges = ExposureRanges(peak=(2000, 2000), read=(0.002, 0.002), jpeg_share=0)
    (dark, middle) = expose(gray, [-4, 0], np.random.default_rng(0), ranges)
    # Relative to the signal the dark one is the noisier: shot noise grows with the root only.
    assert dark.std() / dark.mean() > 2 * middle.std() / middle.mean()


@pytest.mark.parametrize("seed", range(6))
def test_every_part_is_well_exposed_in_one_of_two_exposures(seed):
    picture = np.clip(textured(seed), 60, 200)
    ranges = ExposureRanges(
        light=(4, 5), margin=(0, 0.3), peak=(1e9, 1e9), read=(0, 0), jpeg_share=0
    )
    pair = exposure_pair(picture, np.random.default_rng(seed), ranges)
    assert pair.first.mean() < picture.mean() < pair.second.mean()
    shown = [(shot > 5).all(-1) & (shot < 252).all(-1) for shot in (pair.first, pair.second)]
    assert (shown[0] | shown[1]).mean() > 0.99
    assert min(shown[0].mean(), shown[1].mean()) < 0.9


@pytest.fixture
def pictures():
    return [
        SharpPicture(textured(seed), Path("set"), str(seed), f"set/{seed}") for seed in range(3)
    ]


@pytest.mark.parametrize("task", ["mef", "mff"])
def test_examples_are_remade_alike_and_differ_by_number_and_seed(pictures, task):
    made = MadeExamples(pictures, task, seed=4, length=7)
    again = MadeExamples(pictures, task, seed=4, length=5)
    assert len(made) == 7
    assert [example.name for example in made[:4]] == ["0_0", "1_0", "2_0", "0_1"]
    for index in (0, 4):
        assert np.array_equal(made[index].first, again[index].first)
        assert np.array_equal(made[index].second, again[index].second)
    assert not np.array_equal(made[0].first, made[3].first)
    assert not np.array_equal(made[0].first, MadeExamples(pictures, task, seed=5)[0].first)
    for example in made:
        assert example.task == task
        assert example.first.shape == example.second.shape == example.target.shape
    assert np.array_equal(made[3].target, pictures[0].image)
    # Pairs of one picture never get separated.
    kept, held = split_by_scene(list(made), 0.3, 0)
    assert {example.scene for example in kept}.isdisjoint({example.scene for example in held})


def test_end_and_negative_numbers(pictures):
    made = MadeExamples(pictures, "mff", seed=0)
    assert made[-1].name == "2_0"
    with pytest.raises(IndexError, match="example 3 of 3"):
        made[3]


def test_refusals(pictures):
    with pytest.raises(UsageError, match=r"'vif'.*mef, mff"):
        MadeExamples(pictures, "vif", seed=0)
    with pytest.raises(UsageError, match="no pictures"):
        MadeExamples([], "mef", seed=0)


def test_pictures_are_read_from_folders(tmp_path):
    for name in ("b", "a"):
        cv2.imwrite(str(tmp_path / f"{name}.png"), textured(ord(name))[..., ::-1])
    found = read_sharp_pictures([tmp_path])
    assert [picture.name for picture in found] == ["a", "b"]
    assert np.array_equal(found[0].image, textured(ord("a")))
