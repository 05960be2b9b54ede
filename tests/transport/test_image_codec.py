import array

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion_core.errors import EncodingError
from fusion_core.transport.image_codec import (
    KNOWN_ENCODINGS,
    decode_compressed,
    decode_image,
    is_gray,
    to_modality,
)

RED = (255, 0, 0)


def random_image(shape, dtype=np.uint8, seed=0):
    return np.random.default_rng(seed).integers(0, 255, shape).astype(dtype)


@pytest.mark.parametrize(
    ("encoding", "pixel"),
    [
        ("rgb8", (255, 0, 0)),
        ("bgr8", (0, 0, 255)),
        ("rgba8", (255, 0, 0, 9)),
        ("bgra8", (0, 0, 255, 9)),
        ("8UC3", (0, 0, 255)),  # cv_bridge: an unnamed three-channel image is OpenCV's BGR
    ],
)
def test_convention_colour_is_rgb_inside(encoding, pixel):
    data = bytes(pixel) * 4
    image, normal = decode_image(2, 2, encoding, 2 * len(pixel), 0, data)
    assert normal == "rgb8"
    assert image.shape == (2, 2, 3)
    assert (image == RED).all()


@pytest.mark.parametrize(
    ("encoding", "quad"),
    # Saturated red in BT.601 studio range: Y 81, Cb 90, Cr 240 (ITU-R BT.601-7, table 3).
    [
        ("yuv422", (90, 81, 240, 81)),
        ("uyvy", (90, 81, 240, 81)),
        ("yuv422_yuy2", (81, 90, 81, 240)),
        ("yuyv", (81, 90, 81, 240)),
    ],
)
def test_yuv_is_decoded_with_the_broadcast_matrix(encoding, quad):
    image, _ = decode_image(1, 2, encoding, 4, 0, bytes(quad))
    assert np.abs(image.astype(int) - RED).max() <= 2


@pytest.mark.parametrize(
    ("encoding", "dtype", "normal"),
    [
        ("mono8", "u1", "mono8"),
        ("8UC1", "u1", "mono8"),
        ("mono16", "u2", "mono16"),
        ("16UC1", "u2", "mono16"),
        ("32FC1", "f4", "32FC1"),
    ],
)
@pytest.mark.parametrize("big", [False, True])
def test_one_channel_honours_byte_order_and_padding(encoding, dtype, normal, big):
    expected = random_image((3, 5)).astype(dtype) * (100 if dtype != "u1" else 1)
    stored = expected.astype((">" if big else "<") + dtype)
    rows = [row.tobytes() + b"\xee" * 7 for row in stored]
    image, name = decode_image(3, 5, encoding, len(rows[0]), big, b"".join(rows))
    assert name == normal
    assert image.dtype == np.dtype(dtype)
    assert image.dtype.isnative
    np.testing.assert_array_equal(image, expected)


def test_matching_layout_is_a_view_of_the_message():
    data = array.array("B", bytes(range(24)))
    image, _ = decode_image(2, 4, "rgb8", 12, 0, data)
    data[0] = 200
    assert image[0, 0, 0] == 200


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((2, 2, "weird8", 2, 0, bytes(4)), "weird8.*known: rgb8"),
        ((2, 2, "rgb8", 6, 0, bytes(11)), "11 bytes.*12"),
        ((2, 2, "mono16", 3, 0, bytes(8)), "step 3"),
        ((0, 2, "mono8", 2, 0, b""), "0"),
        ((1, 3, "yuv422", 6, 0, bytes(6)), "multiples of 1 and 2"),
        ((2, 2, "nv12", 2, 0, bytes(5)), "5 bytes.*6"),
        ((3, 2, "bayer_rggb8", 2, 0, bytes(6)), "multiples of 2 and 2"),
    ],
)
def test_layout_that_does_not_add_up_is_refused(arguments, words):
    with pytest.raises(EncodingError, match=words):
        decode_image(*arguments)


@settings(deadline=None)
@given(
    size=st.tuples(st.integers(0, 5), st.integers(0, 5)),
    encoding=st.sampled_from(KNOWN_ENCODINGS),
    step=st.integers(0, 40),
    big=st.booleans(),
    data=st.binary(max_size=120),
)
def test_any_message_gives_an_image_of_its_size_or_the_error(size, encoding, step, big, data):
    try:
        image, _ = decode_image(*size, encoding, step, big, data)
    except EncodingError:
        return
    assert image.shape[:2] == size


def test_convention_compressed_colour_is_rgb():
    bgr = np.full((8, 8, 3), (0, 0, 255), np.uint8)
    _, data = cv2.imencode(".png", bgr)
    image, encoding = decode_compressed("png", data.tobytes(), "visible")
    assert encoding == "rgb8"
    assert (image == RED).all()


def test_16_bit_png_keeps_its_counts():
    counts = random_image((6, 7), np.uint16) * 200
    _, data = cv2.imencode(".png", counts)
    image, encoding = decode_compressed("16UC1; png compressed ", data, "thermal")
    assert encoding == "mono16"
    np.testing.assert_array_equal(image, counts)


def test_float_tiff_keeps_its_values():
    kelvin = random_image((6, 7), np.float32) + 273.15
    _, data = cv2.imencode(".tif", kelvin)
    image, encoding = decode_compressed("tif", data, "thermal")
    assert encoding == "32FC1"
    np.testing.assert_array_equal(image, kelvin)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_truncated_picture_is_refused(suffix, capfd):
    _, data = cv2.imencode(suffix, random_image((64, 64, 3)))
    data = data.tobytes()
    decode_compressed("", data, "visible")
    for share in (0.1, 0.5, 0.99):
        with pytest.raises(EncodingError, match="truncated"):
            decode_compressed("", data[: int(len(data) * share)], "visible")


@pytest.mark.parametrize("data", [b"", b"no picture"])
def test_what_is_no_picture_is_refused(data):
    with pytest.raises(EncodingError, match="no picture"):
        decode_compressed("jpeg", data, "visible")


def test_compressed_depth_is_named():
    with pytest.raises(EncodingError, match="compressedDepth"):
        decode_compressed("16UC1; compressedDepth png", b"\0" * 20, "thermal")


def test_visible_gray_is_repeated():
    gray = random_image((4, 5))
    image, encoding = to_modality(gray, "mono8", "visible")
    assert encoding == "rgb8"
    for channel in range(3):
        np.testing.assert_array_equal(image[..., channel], gray)


def test_visible_16_bit_keeps_the_upper_byte():
    image, _ = to_modality(np.array([[0x12FF]], np.uint16), "mono16", "visible")
    assert image.tolist() == [[[0x12, 0x12, 0x12]]]


def test_visible_float_is_refused():
    with pytest.raises(EncodingError, match="swapped"):
        to_modality(np.zeros((2, 2), np.float32), "32FC1", "visible")


def test_gray_in_three_channels_becomes_one_for_thermal():
    gray = random_image((40, 40))
    noise = np.random.default_rng(1).integers(-2, 3, (40, 40, 3))
    tinted = np.clip(gray[..., None].astype(int) + noise + (2, 0, -3), 0, 255).astype(np.uint8)
    image, encoding = to_modality(tinted, "rgb8", "thermal")
    assert encoding == "mono8"
    assert np.abs(image.astype(int) - gray).mean() < 2


@pytest.mark.parametrize(
    "palette", [cv2.COLORMAP_INFERNO, cv2.COLORMAP_JET, cv2.COLORMAP_HOT, cv2.COLORMAP_BONE]
)
def test_colour_mapped_thermal_stays_colour(palette):
    ramp = np.tile(np.arange(256, dtype=np.uint8), (32, 1))
    mapped = cv2.cvtColor(cv2.applyColorMap(ramp, palette), cv2.COLOR_BGR2RGB)
    assert not is_gray(mapped)
    image, encoding = to_modality(mapped, "rgb8", "thermal")
    assert encoding == "rgb8"
    assert image is mapped


COLOUR = (200, 120, 40)


def mosaic(pattern, scale, dtype, size=(8, 12)):
    """Return what a sensor with this pattern sees of one colour, by ROS's names of patterns."""
    picture = np.empty(size, dtype)
    for index, letter in enumerate(pattern):
        picture[index // 2 :: 2, index % 2 :: 2] = COLOUR["rgb".index(letter)] * scale
    return picture


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
@pytest.mark.parametrize("big", [False, True])
def test_every_bayer_pattern_shows_the_true_colour(pattern, big):
    raw = mosaic(pattern, 1, np.uint8)
    image, encoding = decode_image(8, 12, f"bayer_{pattern}8", 12, big, raw.tobytes())
    assert encoding == "rgb8"
    np.testing.assert_array_equal(image, np.full((8, 12, 3), COLOUR))
    raw = mosaic(pattern, 257, np.uint16).astype(">u2" if big else "<u2")
    image, encoding = decode_image(8, 12, f"bayer_{pattern}16", 24, big, raw.tobytes())
    assert encoding == "rgb16"
    np.testing.assert_array_equal(image, np.full((8, 12, 3), COLOUR) * 257)


# Y, U and V of that colour by BT.601 in video range, computed by hand from the standard.
YUV = (132, 81, 169)


@pytest.mark.parametrize(
    ("encoding", "order"),
    [
        ("yuv422", "uyvy"),
        ("uyvy", "uyvy"),
        ("yuv422_yuy2", "yuyv"),
        ("yuyv", "yuyv"),
        ("yuy2", "yuyv"),
        ("yvyu", "yvyu"),
    ],
)
def test_packed_yuv_shows_the_true_colour(encoding, order):
    pair = bytes(YUV["yuv".index(letter)] for letter in order)
    image, name = decode_image(2, 4, encoding, 8, 0, pair * 4)
    assert name == "rgb8"
    assert np.abs(image.astype(int) - COLOUR).max() <= 3


@pytest.mark.parametrize(
    ("encoding", "chroma"),
    [
        ("nv12", bytes(YUV[1:]) * 4),
        ("nv21", bytes(YUV[:0:-1]) * 4),
        ("i420", bytes([YUV[1]] * 4 + [YUV[2]] * 4)),
        ("yv12", bytes([YUV[2]] * 4 + [YUV[1]] * 4)),
    ],
)
def test_planar_yuv_shows_the_true_colour(encoding, chroma):
    image, name = decode_image(4, 4, encoding, 4, 0, bytes([YUV[0]] * 16) + chroma)
    assert (name, image.shape) == ("rgb8", (4, 4, 3))
    assert np.abs(image.astype(int) - COLOUR).max() <= 3


@pytest.mark.parametrize(("encoding", "order"), [("rgb16", (0, 1, 2)), ("bgr16", (2, 1, 0))])
@pytest.mark.parametrize("alpha", [False, True])
def test_sixteen_bit_colour_is_rgb(encoding, order, alpha):
    pixel = [COLOUR[channel] * 256 + 5 for channel in order] + [7] * alpha
    name = encoding.replace("16", "a16") if alpha else encoding
    raw = np.tile(np.array(pixel, "<u2"), 6).tobytes()
    image, normal = decode_image(2, 3, name, 6 * len(pixel), 0, raw)
    assert normal == "rgb16"
    np.testing.assert_array_equal(image[0, 0], [value * 256 + 5 for value in COLOUR])


def test_four_anonymous_channels_are_bgra():
    image, normal = decode_image(1, 1, "8UC4", 4, 0, bytes([40, 120, 200, 9]))
    assert (normal, tuple(image[0, 0])) == ("rgb8", COLOUR)


@pytest.mark.parametrize(
    ("encoding", "dtype"),
    [("8SC1", "i1"), ("16SC1", "i2"), ("32SC1", "i4"), ("16FC1", "f2"), ("64FC1", "f8")],
)
@pytest.mark.parametrize("big", [False, True])
def test_signed_and_other_float_counts_become_floats(encoding, dtype, big):
    values = np.array([[-100, 0, 5], [7, 100, 3]]).astype((">" if big else "<") + dtype)
    image, normal = decode_image(2, 3, encoding, values.strides[0], big, values.tobytes())
    assert (normal, image.dtype) == ("32FC1", np.float32)
    np.testing.assert_array_equal(image, values)
