"""Geometry of the warp, against OpenCV's projection, SciPy's interpolation and hand calculation."""

import cv2
import numpy as np
import pytest
from scipy import ndimage

from fusion_core.errors import CalibrationError
from fusion_core.registration import Registrar, Rig
from fusion_core.registration.warp import map_pixels, pixel_grid, scale_camera
from fusion_core.types import Frame, ThermalImage

RNG = np.random.default_rng(5)


def camera(width, height, focal, d=(0.0, 0.0, 0.0, 0.0, 0.0), model="plumb_bob"):
    matrix = [focal, 0, (width - 1) / 2, 0, focal, (height - 1) / 2, 0, 0, 1]
    return {
        "image_width": width,
        "image_height": height,
        "distortion_model": model,
        "distortion_coefficients": list(d),
        "camera_matrix": matrix,
    }


def pose(rotation_deg=(0.0, 0.0, 0.0), translation=(0.0, 0.0, 0.0)):
    """4x4 from rotations about x, y, z applied in this order, and a translation in metres."""
    matrix = np.eye(4)
    for axis, angle in enumerate(np.radians(rotation_deg)):
        i, j = [(1, 2), (2, 0), (0, 1)][axis]
        turn = np.eye(3)
        turn[i, i] = turn[j, j] = np.cos(angle)
        turn[i, j], turn[j, i] = -np.sin(angle), np.sin(angle)
        matrix[:3, :3] = turn @ matrix[:3, :3]
    matrix[:3, 3] = translation
    return matrix


def stereo_rig(visible=None, thermal=None, transform=None, depth=10.0):
    return {
        "visible": visible or camera(640, 480, 500, (-0.3, 0.1, 0.001, -0.002, 0.01)),
        "thermal": thermal or camera(640, 512, 760, (-0.25, 0.08, 0.0, 0.001, 0.0)),
        "T_thermal_rgb": (
            pose((1, -2, 0.5), (0.06, 0.01, 0)) if transform is None else transform
        ).tolist(),
        "reference_depth_m": depth,
    }


def homography_rig(matrix, visible=(64, 48), thermal=(64, 48)):
    return {
        "homography": np.asarray(matrix, dtype=float).tolist(),
        "visible_size": list(visible),
        "thermal_size": list(thermal),
    }


def visible_frame(width, height):
    image = RNG.integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Frame(7, "visible", image, "rgb8")


def thermal_image(width, height, *, temperature=False):
    luminance = RNG.random((height, width), dtype=np.float32)
    return ThermalImage(luminance, luminance * 40 if temperature else None)


def smooth_image(width, height):
    """An image that linear interpolation reproduces well."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    return (0.5 + 0.25 * np.sin(x / 23) + 0.25 * np.cos(y / 17)).astype(np.float32)


def test_convention_homography_maps_visible_pixels_to_thermal_pixels():
    # thermal = visible + (10, 5), so aligned[y, x] is thermal[y + 5, x + 10].
    rig = Rig.from_mapping(homography_rig([[1, 0, 10], [0, 1, 5], [0, 0, 1]]))
    thermal = thermal_image(64, 48)
    aligned = Registrar(rig).align(7, visible_frame(64, 48), thermal)
    np.testing.assert_array_equal(aligned.thermal[:43, :54], thermal.luminance[5:, 10:])
    expected = np.zeros((48, 64), bool)
    expected[:43, :54] = True
    np.testing.assert_array_equal(aligned.valid, expected)
    assert not aligned.thermal[~expected].any()


def test_a_homography_has_no_sign():
    matrix = np.array([[0.9, 0.1, 3], [-0.1, 0.9, 5], [1e-3, -2e-3, 1]])
    pixels = pixel_grid((64, 48))
    both = [
        map_pixels(Rig.from_mapping(homography_rig(m)), pixels, (64, 48), (64, 48))
        for m in (matrix, -3 * matrix)
    ]
    # OpenCV's perspectiveTransform takes the same direction.
    expected = cv2.perspectiveTransform(pixels[:, None], matrix)[:, 0]
    np.testing.assert_allclose(both, [expected, expected], atol=1e-9)


def test_convention_transform_maps_rgb_frame_to_thermal_frame():
    # The thermal camera sits 0.1 m to the right: a point at x = 0 is at x = -0.1 for it, and with
    # f = 500 px at 10 m it appears 5 px further left.
    pinhole = camera(640, 480, 500)
    data = stereo_rig(pinhole, pinhole, pose(translation=(-0.1, 0, 0)))
    (pixel,) = map_pixels(
        Rig.from_mapping(data), np.array([[320.0, 240.0]]), (640, 480), (640, 480)
    )
    np.testing.assert_allclose(pixel, (315, 240), atol=1e-9)


def test_convention_pixel_centres_follow_the_half_pixel_rule():
    # Half the resolution: pixel areas halve, so centre x goes to (x + 0.5) / 2 - 0.5.
    rig = Rig.from_mapping(homography_rig(np.eye(3)))
    pixels = pixel_grid((64, 48))
    mapped = map_pixels(rig, pixels, (64, 48), (32, 24))
    np.testing.assert_allclose(mapped, (pixels + 0.5) / 2 - 0.5, atol=1e-12)


def test_convention_half_size_camera_is_the_same_camera():
    full = Rig.from_mapping(stereo_rig()).visible
    half = scale_camera(full, (0.5, 0.5))
    # OpenCV's area resize averages 2x2 blocks, whose centres lie at 2 x + 0.5 of the full image.
    points = RNG.uniform((-0.5, -0.4, 1), (0.5, 0.4, 1), (50, 3))
    k = [np.array(c.k).reshape(3, 3) for c in (full, half)]
    zero, d = np.zeros(3), np.array(full.d)
    at_full, at_half = (cv2.projectPoints(points, zero, zero, m, d)[0].reshape(-1, 2) for m in k)
    np.testing.assert_allclose(at_half, (at_full - 0.5) / 2, atol=1e-9)
    assert (half.width, half.height) == (320, 240)


@pytest.mark.parametrize(
    ("model", "d"),
    [
        ("plumb_bob", (-0.3, 0.1, 0.001, -0.002, 0.01)),
        ("rational_polynomial", (0.1, -0.2, 0.001, 0.0, 0.02, 0.4, -0.1, 0.01)),
        ("equidistant", (0.05, -0.01, 0.002, -0.001)),
    ],
)
def test_distortion_agrees_with_opencv(model, d):
    data = stereo_rig(camera(640, 480, 500, d, model), camera(640, 512, 560, d, model))
    rig = Rig.from_mapping(data)
    on_plane = RNG.uniform((-3.5, -2.5, 10), (3.5, 2.5, 10), (500, 3))
    transform = rig.t_thermal_rgb
    project = cv2.fisheye.projectPoints if model == "equidistant" else cv2.projectPoints

    def pixels(model, rotation, translation):
        k, d = np.array(model.k).reshape(3, 3), np.array(model.d)
        vector, _ = cv2.Rodrigues(rotation)
        return project(on_plane[:, None], vector, translation, k, d)[0].reshape(-1, 2)

    in_visible = pixels(rig.visible, np.eye(3), np.zeros(3))
    in_thermal = pixels(rig.thermal, transform[:3, :3], transform[:3, 3])
    mapped = map_pixels(rig, in_visible, rig.visible_size, rig.thermal_size)
    assert np.abs(mapped - in_thermal).max() < 0.05


def test_resampling_agrees_with_scipy():
    rig = Rig.from_mapping(stereo_rig())
    luminance = smooth_image(640, 512)
    aligned = Registrar(rig).align(0, visible_frame(640, 480), ThermalImage(luminance, None))
    mapped = map_pixels(rig, pixel_grid((640, 480)), (640, 480), (640, 512)).reshape(480, 640, 2)
    inside = np.isfinite(mapped).all(axis=2)
    inside &= ((mapped >= 0) & (mapped <= (639, 511))).all(axis=2)
    expected = ndimage.map_coordinates(luminance, mapped[inside].T[::-1], order=1)
    # OpenCV's maps hold 1/32 pixel: a gradient of 0.02 per pixel gives up to 0.0006.
    np.testing.assert_allclose(aligned.thermal[inside], expected, atol=1.5e-3)
    assert aligned.thermal.dtype == np.float32
    assert aligned.valid.shape == aligned.thermal.shape == (480, 640)


def test_valid_is_where_the_thermal_sensor_is():
    # Thermal is the middle half of the visible view: columns 16 .. 47, rows 12 .. 35.
    rig = Rig.from_mapping(homography_rig([[1, 0, -16], [0, 1, -12], [0, 0, 1]], thermal=(32, 24)))
    aligned = Registrar(rig).align(0, visible_frame(64, 48), thermal_image(32, 24))
    expected = np.zeros((48, 64), bool)
    expected[12:36, 16:48] = True
    np.testing.assert_array_equal(aligned.valid, expected)


def test_the_outer_half_pixel_of_the_thermal_sensor_counts_as_seen():
    # Twice the resolution: visible column 0 falls on thermal -0.25, inside the border pixel.
    scale = [[0.5, 0, -0.25], [0, 0.5, -0.25], [0, 0, 1]]
    rig = Rig.from_mapping(homography_rig(scale, thermal=(32, 24)))
    thermal = thermal_image(32, 24)
    aligned = Registrar(rig).align(0, visible_frame(64, 48), thermal)
    assert aligned.valid.all()
    assert aligned.thermal[0, 0] == thermal.luminance[0, 0]
    assert aligned.thermal[-1, -1] == thermal.luminance[-1, -1]


def test_distortion_does_not_fold_far_rays_into_the_image():
    # r (1 - 0.3 r^2) turns back at r = 1.05: rays beyond would fall inside the image again.
    thermal = camera(320, 240, 300, (-0.3, 0, 0, 0, 0))
    wide = camera(640, 480, 150)
    rig = Rig.from_mapping(stereo_rig(wide, thermal, np.eye(4)))
    aligned = Registrar(rig).align(0, visible_frame(640, 480), thermal_image(320, 240))
    rays = (pixel_grid((640, 480)) - (319.5, 239.5)) / 150
    beyond = (np.linalg.norm(rays, axis=1) > 1.06).reshape(480, 640)
    assert beyond.any()
    assert not aligned.valid[beyond].any()
    assert aligned.valid[240, 320]


def test_pixels_behind_a_turned_camera_are_not_seen():
    # Turned by 180 degrees it would see the scene mirrored, if depth had no sign.
    rig = Rig.from_mapping(stereo_rig(transform=pose((0, 180, 0))))
    with pytest.raises(CalibrationError, match="sees nothing"):
        Registrar(rig).align(0, visible_frame(640, 480), thermal_image(640, 512))


def test_temperature_is_taken_from_the_nearest_pixel():
    rig = Rig.from_mapping(homography_rig([[1, 0, 0.3], [0, 1, -0.4], [0, 0, 1]]))
    thermal = thermal_image(64, 48, temperature=True)
    aligned = Registrar(rig).align(0, visible_frame(64, 48), thermal)
    np.testing.assert_array_equal(aligned.temperature[:, :-1], thermal.temperature[:, :-1])
    shifted = Rig.from_mapping(homography_rig([[1, 0, 10], [0, 1, 0], [0, 0, 1]]))
    aligned = Registrar(shifted).align(0, visible_frame(64, 48), thermal)
    np.testing.assert_array_equal(aligned.temperature[:, :54], thermal.temperature[:, 10:])
    np.testing.assert_array_equal(np.isnan(aligned.temperature), ~aligned.valid)


def test_without_a_rig_images_pass_through_unchanged():
    visible, thermal = visible_frame(64, 48), thermal_image(64, 48, temperature=True)
    aligned = Registrar(None).align(7, visible, thermal)
    assert aligned.visible is visible.image
    assert aligned.thermal is thermal.luminance
    assert aligned.temperature is thermal.temperature
    assert aligned.valid.all()
    assert (aligned.stamp_ns, aligned.confidence) == (7, 1.0)


def test_an_identity_rig_is_bit_exact():
    rig = Rig.from_mapping(homography_rig(np.eye(3)))
    thermal = thermal_image(64, 48, temperature=True)
    aligned = Registrar(rig).align(7, visible_frame(64, 48), thermal)
    np.testing.assert_array_equal(aligned.thermal, thermal.luminance)
    np.testing.assert_array_equal(aligned.temperature, thermal.temperature)
    assert aligned.valid.all()


def test_without_a_rig_different_sizes_ask_for_a_calibration():
    with pytest.raises(CalibrationError) as error:
        Registrar(None).align(0, visible_frame(64, 48), thermal_image(32, 24))
    for word in ("64x48", "32x24", "set 'calibration'"):
        assert word in str(error.value)


def test_a_scaled_resolution_is_accepted_and_another_shape_refused():
    registrar = Registrar(Rig.from_mapping(stereo_rig()))
    full = registrar.align(0, visible_frame(640, 480), ThermalImage(smooth_image(640, 512), None))
    half = registrar.align(0, visible_frame(320, 240), ThermalImage(smooth_image(640, 512), None))
    # Half the pixels of the same view: the mean of 2x2 blocks (OpenCV's area resize).
    expected = cv2.resize(full.thermal, (320, 240), interpolation=cv2.INTER_AREA)
    inner = cv2.erode(half.valid.astype(np.uint8), np.ones((5, 5))) > 0
    np.testing.assert_allclose(half.thermal[inner], expected[inner], atol=2e-3)
    with pytest.raises(CalibrationError, match=r"640x360.*640x480"):
        registrar.align(0, visible_frame(640, 360), thermal_image(640, 512))
    with pytest.raises(CalibrationError, match="thermal frames are 640x480"):
        registrar.align(0, visible_frame(640, 480), thermal_image(640, 480))


def test_a_new_resolution_in_mid_stream_is_followed():
    registrar = Registrar(Rig.from_mapping(homography_rig(np.eye(3))))
    for size in [(64, 48), (128, 96), (64, 48)]:
        aligned = registrar.align(0, visible_frame(*size), thermal_image(64, 48))
        assert aligned.valid.shape == aligned.thermal.shape == size[::-1]
        assert aligned.valid.all()


def test_one_sided_pairs():
    rig = Rig.from_mapping(homography_rig(np.eye(3)))
    registrar = Registrar(rig)
    alone = registrar.align(0, None, thermal_image(32, 24))
    assert alone.visible is None
    assert alone.thermal.shape == (48, 64)  # the rig's visible size
    missing = registrar.align(0, visible_frame(128, 96), None)
    assert missing.thermal is None
    assert missing.valid.shape == (96, 128)
    assert not missing.valid.any()
    alone = registrar.align(0, None, thermal_image(32, 24))
    assert alone.thermal.shape == (96, 128)  # the grid of the visible frame seen last
    plain = Registrar(None).align(0, None, thermal_image(32, 24))
    assert plain.thermal.shape == plain.valid.shape == (24, 32)
