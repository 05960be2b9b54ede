"""Every way in which drivers pack pixels, over real topics: shown right, and none counted as lost.

FFmpeg packs the pictures, or numpy by the definition of the encoding.
"""

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from robot import image_message, repeat_until, stamp_ns

WIDTH, HEIGHT = 160, 128  # as the pairs that the connection is made with
FFMPEG = {
    "yuv422": "uyvy422",
    "uyvy": "uyvy422",
    "yuv422_yuy2": "yuyv422",
    "yuyv": "yuyv422",
    "nv12": "nv12",
    "nv21": "nv21",
    "i420": "yuv420p",
}
# Rows and columns of red, first green, second green and blue in a cell of 2x2 pixels.
BAYER = {"rggb": "rggb", "bggr": "bggr", "gbrg": "gbrg", "grbg": "grbg"}


def scene(number):
    """Return a smooth colour picture without gray, another for each number."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    planes = [40 + 150 * x / WIDTH, 200 - 140 * y / HEIGHT, 60 + 100 * (x + y) / (WIDTH + HEIGHT)]
    return np.roll(np.dstack(planes), number % 3, 2).astype(np.uint8)


def packed_by_ffmpeg(picture, layout):
    """Return the rows of bytes of a picture, limited range and the matrix of BT.601."""
    frame = av.VideoFrame.from_ndarray(picture).reformat(
        format=layout, dst_colorspace=Colorspace.ITU601, dst_color_range=ColorRange.MPEG
    )
    rows = []
    for plane in frame.planes:
        lines = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
        used = WIDTH * 2 if len(frame.planes) == 1 else WIDTH
        rows.append(lines[:, : used if plane.width == WIDTH or "nv" in layout else WIDTH // 2])
    return np.concatenate([part.reshape(-1) for part in rows]).reshape(-1, rows[0].shape[1])


def bayer(picture, order, kind):
    """Return what a sensor behind this pattern of filters sees."""
    seen = np.empty(picture.shape[:2], np.uint8)
    for place, colour in enumerate(order):
        row, column = divmod(place, 2)
        seen[row::2, column::2] = picture[row::2, column::2, "rgb".index(colour)]
    return seen.astype(np.uint16) * 257 if kind == 16 else seen


def visible_messages():
    """Yield encoding, picture as packed, and the largest mean difference that packing causes."""
    number = 0
    for encoding, layout in FFMPEG.items():
        yield encoding, packed_by_ffmpeg(scene(number), layout), scene(number), 4
        number += 1
    for order in BAYER:
        for bits in (8, 16):
            pattern = bayer(scene(number), order, bits)
            yield f"bayer_{order}{bits}", pattern, scene(number), 4
            number += 1
    for encoding in ("rgb8", "rgba8", "bgr8", "bgra8", "8UC3", "8UC4", "rgb16", "bgr16"):
        picture = scene(number)
        shown = picture if encoding.startswith("rgb") else picture[..., ::-1]
        if encoding in {"rgba8", "bgra8", "8UC4"}:
            shown = np.dstack([shown, np.full(shown.shape[:2], 255, np.uint8)])
        if encoding.endswith("16"):
            shown = shown.astype(np.uint16) * 257
        yield encoding, shown, picture, 1
        number += 1


def counts(seen):
    return (21_000 + 4000 * seen).astype(np.uint16)


def celsius(seen):
    return (20 + 15 * seen).astype(np.float32)


def eight_bits(seen):
    return (30 + 200 * seen).astype(np.uint8)


def three_channels(seen):
    return np.repeat(eight_bits(seen)[..., None], 3, 2)


def yuyv(seen):
    return packed_by_ffmpeg(three_channels(seen), "yuyv422")


# Encoding, what packs a scene of values from 0 to 1, and whether bytes are the other way round.
THERMAL = [
    *[(name, counts, swapped) for name in ("mono16", "16UC1") for swapped in (False, True)],
    *[("32FC1", celsius, swapped) for swapped in (False, True)],
    *[(name, eight_bits, False) for name in ("mono8", "8UC1")],
    ("rgb8", three_channels, False),
    ("yuyv", yuyv, False),
]


def message(encoding, packed, stamp, frame_id, *, swapped=False):
    found = image_message(packed, encoding, stamp, frame_id)
    # The rows of a picture, not those of its planes.
    found.height, found.width = HEIGHT, WIDTH
    found.is_bigendian ^= swapped
    return found


def pixels_of(found):
    """Return a bgr8 message's picture in RGB."""
    pixels = np.frombuffer(found.data, np.uint8).reshape(found.height, found.width, 3)
    return pixels[..., ::-1].astype(int)


def send_until(node, images, makers, clock, is_right):
    """Send pictures again and again, each time later, until what comes out is right.

    `makers` maps topics to what makes a message of a stamp.
    """
    sent, last = [], []

    def send():
        sent.append(node.at(next(clock)))
        for name, make in makers.items():
            node.camera(name).publish(make(sent[-1]))

    def shown_right():
        found = [message for message in images.messages if stamp_ns(message) in sent]
        last[:] = [is_right(pixels_of(message)) for message in found[-1:]]
        return last == [True]

    repeat_until(send, shown_right, f"{list(makers)} shown right: {last} {node.log[-1000:]}")


def test_every_encoding_is_shown_right_and_none_is_lost(start):
    node = start(detector="none", prior="none", temporal_smoothing=0.0)
    images = node.connect()
    clock = iter(range(5000, 10**6, 100))
    y, x = np.mgrid[:HEIGHT, :WIDTH]

    def shows_the_ramp(picture):
        """Look for the ramp in what was fused with a plain picture: bytes swapped show none."""
        gray = picture.mean(2).ravel()
        return bool(gray.std() > 0 and np.corrcoef(gray, (x + y).ravel())[0, 1] > 0.8)

    def plain(stamp):
        gray = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
        return message("rgb8", gray, stamp, "rgb_optical")

    for encoding, pack, swapped in THERMAL:

        def heat(stamp, encoding=encoding, pack=pack, swapped=swapped):
            # A camera that repeats its picture would be taken for one whose shutter is closed.
            noise = np.random.default_rng(stamp % 2**32).uniform(0, 0.03, (HEIGHT, WIDTH))
            packed = pack(0.97 * (x + y) / (WIDTH + HEIGHT) + noise)
            packed = packed.byteswap() if swapped else packed
            return message(encoding, packed, stamp, "thermal_optical", swapped=swapped)

        makers = {"thermal/image_raw": heat, "rgb/image_raw": plain}
        send_until(node, images, makers, clock, shows_the_ramp)
    for encoding, packed, expected, tolerance in visible_messages():

        def light(stamp, encoding=encoding, packed=packed):
            return message(encoding, packed, stamp, "rgb_optical")

        def shows_it(picture, expected=expected, tolerance=tolerance):
            return bool(np.abs(picture - expected).mean() <= tolerance)

        send_until(node, images, {"rgb/image_raw": light}, clock, shows_it)
    counters = node.counters()
    assert not [key for key in counters if "unknown_encoding" in key or "corrupt" in key]
