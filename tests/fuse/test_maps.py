"""Which picture made each pixel, as numbers and as pictures, of the shipped TC-MoA."""

import cv2
import numpy as np
import pytest
from scenes import exposed, read, scene, write

import fusion_core as fc
from fusion_core.cli.main import main
from fusion_core.drawing import SOURCE_COLOURS, draw_shares
from fusion_core.engine import Engine
from fusion_core.types import AlignedPair


@pytest.fixture(scope="module")
def halves():
    """Two focus settings: the first is sharp on the left, the second on the right."""
    sharp = scene(2)
    blurred = cv2.GaussianBlur(sharp, (0, 0), 3)
    left, right = blurred.copy(), blurred.copy()
    left[:, :160], right[:, 160:] = sharp[:, :160], sharp[:, 160:]
    return left, right


@pytest.mark.parametrize("turned", [False, True])
def test_shares_are_of_the_pictures_as_given(halves, turned):
    given = halves[::-1] if turned else halves
    made = fc.explain_images(*given, task="mff", model="tcmoa")
    assert made.shares.shape == (2, 240, 320)
    np.testing.assert_allclose(made.shares.sum(0), 1, atol=1e-4)
    left = made.shares[1 if turned else 0]
    assert left[20:-20, 20:140].mean() > 0.9
    assert left[20:-20, 180:-20].mean() < 0.1


def test_the_picture_is_the_same_with_and_without_maps(halves):
    made = fc.explain_images(*halves, task="mff", model="tcmoa")
    assert np.array_equal(made.image, fc.fuse_images(*halves, task="mff", model="tcmoa"))


def test_where_pictures_are_chosen_the_shares_make_the_picture(halves):
    made = fc.explain_images(*halves, task="mff", model="tcmoa")
    joined = (made.shares[..., None] * np.stack(halves)).sum(0)
    assert np.abs(joined - made.image).max() <= 1


def test_prompts_of_three_exposures_add_up_to_one():
    stack = [exposed(scene(1), stops) for stops in (2, -2, 0)]
    made = fc.explain_images(*stack, task="mef", model="tcmoa")
    assert made.shares.shape == (3, 240, 320)
    assert made.prompts.shape == (3, 15, 20)
    for share in (made.shares, made.prompts):
        np.testing.assert_allclose(share.sum(0), 1, atol=1e-4)
        assert share.min() >= 0


def test_a_pair_of_cameras_has_the_shares_of_its_two_pictures():
    visible = np.ascontiguousarray(scene(3)[::2, ::2])
    thermal = np.zeros((120, 160), np.float32)
    thermal[:, 80:] = cv2.cvtColor(visible, cv2.COLOR_RGB2GRAY)[:, 80:] / 255
    pair = AlignedPair(0, visible, thermal, np.ones((120, 160), bool))
    shares = Engine(fc.load_model("tcmoa"), None).fuse(pair).shares
    assert shares.shape == (2, 30, 40)
    np.testing.assert_allclose(shares.sum(0), 1, atol=1e-3)
    assert shares[0, :, :18].mean() > shares[0, :, 22:].mean()  # nothing to see on the left


def test_a_model_without_shares_says_so(halves, chooser, capsys, tmp_path):
    made = fc.explain_images(*halves, task="mff", model=chooser)
    assert made.shares is None
    files = [write(tmp_path / f"{n}.png", p) for n, p in zip("lr", halves, strict=True)]
    options = ("--task", "mff", "--model", chooser, "--maps", f"{tmp_path}/maps/")
    assert main(["fuse", *map(str, files), "--out", f"{tmp_path}/f.png", *options]) == 2
    assert "does not say which picture made what" in capsys.readouterr().err


def test_colours_mix_by_share():
    shares = np.zeros((2, 2, 2), np.float32)
    shares[0, 0], shares[1, 1] = 1, 1
    shares[:, 1, 1] = 0.5
    blue, orange = (np.array(colour) for colour in list(SOURCE_COLOURS.values())[:2])
    drawn = draw_shares(shares, (4, 4))
    assert (drawn[:2] == blue).all()
    assert (drawn[2:, :2] == orange).all()
    assert np.abs(drawn[2:, 2:] - (blue + orange) / 2).max() <= 0.5


def test_the_command_writes_both_maps(halves, capsys, tmp_path):
    files = [write(tmp_path / f"{n}.png", p) for n, p in zip("lr", halves, strict=True)]
    options = ("--task", "mff", "--model", "tcmoa", "--maps", f"{tmp_path}/maps/")
    beside = ("--side-by-side", f"{tmp_path}/s.png")
    assert main(["fuse", *map(str, files), "--out", f"{tmp_path}/f.png", *options, *beside]) == 0
    assert "maps: blue picture 1, orange picture 2" in capsys.readouterr().out
    drawn = read(tmp_path / "maps" / "l_pixels.png").astype(int)
    assert drawn[:, 20:140, 2].mean() > 150  # blue
    assert drawn[:, 180:-20, 2].mean() < 50  # orange
    assert read(tmp_path / "maps" / "l_prompts.png").shape == drawn.shape
    assert read(tmp_path / "s.png").shape == (240, 5 * 320 + 4 * 4, 3)
