import cv2
import numpy as np

from fusion_core.engine.colour import to_rgb


def shown(ycrcb):
    return to_rgb(ycrcb[..., 0].copy(), ycrcb.copy())


def test_what_fits_into_rgb_is_what_opencv_gives():
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (40, 50, 3), np.uint8)
    ycrcb = cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb)
    assert np.array_equal(shown(ycrcb), cv2.cvtColor(ycrcb, cv2.COLOR_YCrCb2RGB))


def test_any_luma_survives_any_chroma():
    ycrcb = np.random.default_rng(1).integers(0, 256, (100, 100, 3), np.uint8)
    clipped = cv2.cvtColor(ycrcb, cv2.COLOR_YCrCb2RGB)
    luma = ycrcb[..., 0].astype(int)
    assert np.abs(cv2.cvtColor(clipped, cv2.COLOR_RGB2GRAY) - luma).max() > 60
    assert np.abs(cv2.cvtColor(shown(ycrcb), cv2.COLOR_RGB2GRAY) - luma).max() <= 1


def test_convention_chroma_shrinks_towards_gray_by_hand():
    """Y 200, Cr 228: red would be 200 + 140.3; 55 of it fit, so green loses .714 * 55 / 1.403."""
    ycrcb = np.array([[[200, 228, 128]]], np.uint8)
    assert shown(ycrcb).tolist() == [[[255, 172, 200]]]


def test_black_and_white_have_no_colour():
    ycrcb = np.array([[[0, 200, 90], [255, 30, 220]]], np.uint8)
    assert shown(ycrcb).tolist() == [[[0, 0, 0], [255, 255, 255]]]
