"""Registration of single pairs, against known synthetic truth and real recordings."""

import cv2
import numpy as np
import pytest
from pictures import H, W, end_point_error, field_of, scene_pair, thermal_through

import fusion_core as fc
from fusion_core.errors import EncodingError, UsageError

TURN = np.array([[1.02, 0.03, -6], [-0.03, 1.0, 9], [2e-5, -1e-5, 1]])


def test_convention_displacement_points_from_visible_to_thermal_pixels():
    # The thermal picture shows everything 7 px further right and 4 px higher: warped(q) is
    # thermal(q - (7, -4)), so visible p is found at thermal p + (7, -4).
    visible, thermal = scene_pair()
    shifted = thermal_through(thermal, np.broadcast_to((-7.0, 4.0), (H, W, 2)))
    found = fc.register(shifted, visible)
    assert found.displacement.shape == (H, W, 2)
    assert found.displacement.dtype == np.float32
    np.testing.assert_allclose(found.displacement[H // 2, W // 2], (7, -4), atol=0.3)
    np.testing.assert_allclose(
        cv2.perspectiveTransform(np.array([[[10.0, 20.0]]]), found.homography)[0, 0],
        np.array([10, 20]) + found.displacement[20, 10],
        atol=1e-3,
    )
    assert found.confidence > 0.5


def test_a_homography_is_recovered():
    visible, thermal = scene_pair(1)
    warped = thermal_through(thermal, field_of(TURN))
    true = field_of(np.linalg.inv(TURN))
    found = fc.register(warped, visible)
    assert np.linalg.norm(true, axis=2).mean() > 4
    assert end_point_error(found.displacement, true) < 0.5


@pytest.mark.parametrize("seed", [1, 9])
def test_the_corners_are_found_wherever_the_search_begins(seed):
    # The same picture has one alignment: from the identity and from a calibration that is off by
    # some 13 px at the corners the way to it differs, the end must not.
    visible, thermal = scene_pair(seed)
    warped = thermal_through(thermal, field_of(TURN))
    corners = np.array([[[0.0, 0], [W - 1, 0], [W - 1, H - 1], [0, H - 1]]])
    true = cv2.perspectiveTransform(corners, np.linalg.inv(TURN))
    for initial in (None, TURN):
        found = fc.register(warped, visible, initial=initial).homography
        gaps = np.linalg.norm(cv2.perspectiveTransform(corners, found) - true, axis=2)
        assert np.median(gaps) < 1


def test_contrast_polarity_does_not_matter():
    visible, thermal = scene_pair(2)
    warped = thermal_through(thermal, field_of(TURN))
    first, second = fc.register(warped, visible), fc.register(255 - warped, visible)
    np.testing.assert_allclose(first.displacement, second.displacement, atol=0.1)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32, np.float64])
def test_raw_counts_give_the_same_registration(dtype):
    visible, thermal = scene_pair(3)
    warped = thermal_through(thermal, field_of(TURN))
    counts = (warped.astype(dtype) * 8 + 7000).astype(dtype)
    expected = fc.register(warped, visible).displacement
    assert end_point_error(fc.register(counts, visible).displacement, expected) < 0.3


def test_dense_follows_what_no_homography_explains():
    visible, thermal = scene_pair(4)
    y, x = np.mgrid[:H, :W]
    wave = np.stack((6 * np.sin(y / 38), 5 * np.cos(x / 45)), axis=2)
    warped = thermal_through(thermal, wave)
    true = np.zeros_like(wave)
    for _ in range(50):  # u(p) = -wave(p + u(p)) makes warped(p + u(p)) = thermal(p)
        places = (np.stack((x, y), axis=2) + true).astype(np.float32)
        true = -cv2.remap(wave, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    plain, dense = (
        fc.register(warped, visible, mode).displacement for mode in ("homography", "dense")
    )
    assert fc.register(warped, visible, "dense").homography is None
    assert end_point_error(plain, true, 20) > 2
    assert end_point_error(dense, true, 20) < 0.8 * end_point_error(plain, true, 20)


def test_another_thermal_size_is_scaled_by_itself_and_by_initial():
    visible, thermal = scene_pair(5)
    inner = thermal_through(thermal, np.zeros((H, W, 2)))
    small = cv2.resize(inner, (W // 2, H // 2), interpolation=cv2.INTER_AREA)
    # pixel areas halve: centre x goes to (x + 0.5) / 2 - 0.5
    halved = np.array([[0.5, 0, -0.25], [0, 0.5, -0.25], [0, 0, 1]])
    for initial in (None, halved):
        found = fc.register(small, visible, initial=initial)
        assert end_point_error(found.displacement, field_of(halved)) < 0.3
    dense = fc.register(small, visible, "dense", initial=halved)
    assert end_point_error(dense.displacement, field_of(halved)) < 0.6


def test_pictures_of_different_scenes_are_not_trusted():
    visible, _ = scene_pair(6)
    _, other = scene_pair(7)
    assert fc.register(thermal_through(other, np.zeros((H, W, 2))), visible).confidence < 0.5


def test_an_empty_thermal_picture_moves_nothing_and_is_not_trusted():
    visible, _ = scene_pair(8)
    for empty in (np.full((H, W), 80, np.uint8), np.zeros((H, W), np.uint8)):
        found = fc.register(empty, visible)
        np.testing.assert_allclose(found.displacement, 0, atol=1e-3)
        assert found.confidence < 0.1


def test_wrong_arguments_say_what_to_give():
    visible, thermal = scene_pair()
    with pytest.raises(UsageError, match="homography, dense"):
        fc.register(thermal, visible, "affine")
    with pytest.raises(UsageError, match="3x3"):
        fc.register(thermal, visible, initial=np.zeros((3, 3)))
    with pytest.raises(EncodingError, match="HxWx3 uint8"):
        fc.register(thermal, visible[..., 0])
    with pytest.raises(EncodingError, match="HxW uint8"):
        fc.register(visible, visible)
    with pytest.raises(EncodingError, match="at least 48"):
        fc.register(thermal[:20], visible)


@pytest.mark.data
def test_real_pairs_with_known_deformation(recordings):
    folder = recordings / "registration"
    for stem in ("4", "99"):
        visible, thermal = (
            cv2.imread(str(folder / kind / f"{stem}.png")) for kind in ("vi", "ir_warp")
        )
        stored = np.load(folder / "displacement" / f"{stem}.npz")
        height, width = stored["size"]
        warp = cv2.resize(
            stored["displacement_quarter"].astype(np.float32),
            (int(width), int(height)),
            interpolation=cv2.INTER_CUBIC,
        )
        y, x = np.mgrid[:height, :width].astype(np.float32)
        true = np.zeros_like(warp)
        for _ in range(100):
            places = np.stack((x, y), axis=2) + true
            true = -cv2.remap(warp, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        found = fc.register(thermal[..., 0], np.ascontiguousarray(visible[..., ::-1]), "dense")
        before = np.linalg.norm(true, axis=2).mean()
        assert end_point_error(found.displacement, true) < 0.25 * before


@pytest.mark.data
def test_a_real_pair_ends_where_it_ends_when_it_is_displaced(recordings):
    # A street in fog. Reduced to half its resolution it fits best some 11 px off the corners.
    visible, thermal = (
        cv2.resize(cv2.imread(str(path)), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        for path in (recordings / "m3fd" / kind / "00388.jpg" for kind in ("vi", "ir"))
    )
    height, width = thermal.shape[:2]
    corners = np.float32([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]])
    moved = corners + np.float32([[5, -7], [31, -8], [14, -2], [15, 2]])
    warp = cv2.getPerspectiveTransform(corners, moved)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    displaced = cv2.warpPerspective(thermal[..., 0], warp, (width, height), flags=flags)
    rgb = np.ascontiguousarray(visible[..., ::-1])
    stored, found = (fc.register(image, rgb).homography for image in (thermal[..., 0], displaced))
    gaps = cv2.perspectiveTransform(corners[None], warp @ found) - cv2.perspectiveTransform(
        corners[None], stored
    )
    assert np.median(np.linalg.norm(gaps, axis=2)) < 1
