"""Camera streams as they come: rates, jitter, loss, gaps, changes, nonsense."""

import time

import cv2
import numpy as np
import pytest
from robot import image_message, picture, stamp_ns, wait_for
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from vision_msgs.msg import Detection2DArray

MS = 1_000_000
START = 1_700_000_000_000_000_000


def number(values, key):
    return int(values.get(key, 0))


def settled(node):
    """Wait until the node reports that all it received is dealt with; return its counters."""
    node.forget_diagnostics()
    _, _, values = node.wait_diagnostics(
        "synchronisation",
        lambda _level, _message, values: (
            number(values, "pairs")
            == sum(number(values, key) for key in ("fused", "dropped busy", "dropped frozen"))
        ),
    )
    return values


def play(node, images, events):
    """Send `(visible?, stamp, index)` events in order, never more than two results ahead."""
    visible = 0
    for is_visible, stamp, index in events:
        if is_visible:
            node.send_visible(stamp, picture((160, 128), index))
            visible += 1
            end = time.monotonic() + 1.0
            while visible - len(images.messages) > 2 and time.monotonic() < end:
                time.sleep(0.005)
        else:
            node.send_thermal(stamp, picture((160, 128), index, 1))
    node.camera("rgb/image_raw")


def test_a_pair_comes_out_with_stamp_frame_and_everything_beside_it(start):
    node = start()
    images = node.listen(Image, "image")
    beside = {
        name: node.listen(kind, name)
        for name, kind in (
            ("camera_info", CameraInfo),
            ("detections", Detection2DArray),
            ("image/compressed", CompressedImage),
            ("debug_image", Image),
        )
    }
    info = CameraInfo(width=160, height=128, k=[100.0, 0, 80, 0, 100, 64, 0, 0, 1])
    node.camera("rgb/camera_info", CameraInfo).publish(info)
    node.wait_diagnostics("calibration", lambda _l, _m, values: values["visible"] == "160x128")
    stamp = START + 123_456_789
    fused = node.fuse_pair(images, stamp, 0)
    assert fused.header.frame_id == "rgb_optical"
    assert (fused.encoding, fused.width, fused.height, fused.step) == ("bgr8", 160, 128, 480)
    assert len(fused.data) == 480 * 128
    for name, listener in beside.items():
        wait_for(lambda listener=listener: listener.messages, f"a message on {name}")
        assert listener.messages[0].header == fused.header, name
    assert list(beside["camera_info"].messages[0].k) == list(info.k)
    assert beside["detections"].messages[0].detections == []
    assert beside["debug_image"].messages[0].width == 3 * 160
    jpeg = np.frombuffer(beside["image/compressed"].messages[0].data, np.uint8)
    assert cv2.imdecode(jpeg, cv2.IMREAD_COLOR).shape == (128, 160, 3)


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8"])
def test_convention_red_stays_red(start, encoding):
    node = start()
    images = node.listen(Image, "image")
    red = np.zeros((128, 160, 3), np.uint8)
    red[..., encoding.index("r")] = 200
    node.camera("rgb/image_raw")
    node.send_thermal(START, picture((160, 128), 0, 1))
    node.send_visible(START, red, encoding)
    wait_for(lambda: images.messages, "the fused image")
    fused = np.frombuffer(images.messages[0].data, np.uint8).reshape(128, 160, 3)
    blue, green, red_out = fused.reshape(-1, 3).mean(axis=0)
    assert red_out > blue + 50
    assert red_out > green + 50


def test_ten_vga_pairs_a_second_all_arrive(start):
    node = start()
    images = node.listen(Image, "image")
    sent = 30
    for index in range(sent):
        due = time.monotonic() + 0.1
        node.fuse_pair(images, START + index * 100 * MS, index, (640, 480))
        time.sleep(max(0.0, due - time.monotonic()))
    values = settled(node)
    assert len(images.messages) == sent
    assert number(values, "fused") == sent
    assert not [key for key in values if key.startswith("dropped")]
    _, _, received = node.wait_diagnostics(
        "input", lambda _l, _m, values: number(values, "visible read") == sent
    )
    assert number(received, "thermal received") == number(received, "visible received") == sent


def test_nine_hertz_thermal_beside_thirty_hertz_visible(start):
    node = start()
    images = node.listen(Image, "image")
    visible = [(True, START + round(index * 1e9 / 30), index) for index in range(60)]
    thermal = [(False, START + 7 * MS + round(index * 1e9 / 9), index) for index in range(18)]
    node.camera("thermal/image_raw")
    play(node, images, sorted(visible + thermal, key=lambda event: event[1]))
    values = settled(node)
    assert number(values, "fused") == len(images.messages)
    # Only the last frames still wait for a partner that never comes.
    assert number(values, "pairs") >= 60 - 4
    assert len(images.messages) >= 60 * 2 // 3
    assert images.stamps == sorted(images.stamps)
    assert "missing" not in node.diagnostics("synchronisation")[1]


def test_jitter_and_loss_are_survived_and_accounted_for(start):
    node = start()
    images = node.listen(Image, "image")
    random = np.random.default_rng(5)
    events = []
    for index in range(60):
        for is_visible in (True, False):
            if random.random() >= 0.05:
                stamp = START + index * 100 * MS + int(random.uniform(0, 20) * MS)
                arrival = stamp + random.uniform(0, 40) * MS
                events.append((arrival, (is_visible, stamp, index)))
    node.camera("thermal/image_raw")
    play(node, images, [event for _, event in sorted(events)])
    sent = sum(is_visible for _, (is_visible, _, _) in events)
    values = settled(node)
    assert number(values, "fused") == len(images.messages) >= 0.9 * sent
    assert images.stamps == sorted(images.stamps)
    _, _, received = node.diagnostics("input")
    assert number(received, "visible read") == sent
    assert number(received, "thermal read") == len(events) - sent
    assert float(values["skew p99 ms"]) <= 150


def test_a_gap_of_two_seconds_in_the_thermal_stream(start):
    node = start()
    images = node.listen(Image, "image")
    stamp = START
    for index in range(5):
        node.fuse_pair(images, stamp, index)
        stamp += 100 * MS
    before = len(images.messages)
    gap = [(True, stamp + index * 100 * MS, index) for index in range(20)]
    play(node, images, gap)
    level, message, _ = node.wait_diagnostics(
        "synchronisation", lambda _l, message, _v: "thermal_missing" in message
    )
    assert level == 1, message
    assert len(images.messages) > before + 10
    stamp += 2000 * MS
    for index in range(3):
        node.fuse_pair(images, stamp + index * 100 * MS, index)
    node.wait_diagnostics("synchronisation", lambda level, _m, _v: level == 0)


def test_a_change_of_resolution(start):
    node = start()
    images = node.listen(Image, "image")
    for index, size in enumerate(((160, 128), (320, 240), (160, 128))):
        fused = node.fuse_pair(images, START + index * 100 * MS, index, size)
        assert (fused.width, fused.height) == size
        assert len(fused.data) == 3 * size[0] * size[1]


def test_nonsense_is_dropped_counted_and_survived(start):
    node = start()
    images = node.listen(Image, "image")
    node.fuse_pair(images, START, 0)
    node.send_visible(START + 100 * MS, picture((160, 128), 1, 1), "bayer_of_tomorrow")
    half = image_message(picture((160, 64), 1), "rgb8", START + 200 * MS, "rgb_optical")
    half.height = 128
    node.camera("rgb/image_raw").publish(half)
    node.camera("rgb/image_raw").publish(Image())
    node.wait_diagnostics(
        "synchronisation",
        lambda _l, _m, values: number(values, "dropped unknown_encoding") == 3,
    )
    node.fuse_pair(images, START + 300 * MS, 3)
    assert "bayer_of_tomorrow" in node.log


def test_stamps_that_jump_back(start):
    node = start()
    images = node.listen(Image, "image")
    for index in range(3):
        node.fuse_pair(images, START + index * 100 * MS, index)
    back = START - 60_000 * MS
    node.send_pair(back, 3)
    node.send_pair(back + 100 * MS, 4)
    wait_for(lambda: back + 100 * MS in images.stamps, "fusing after the jump")
    values = settled(node)
    assert number(values, "fused") == len(images.messages)
    _, _, received = node.diagnostics("input")
    assert number(received, "visible read") == number(received, "thermal read") == 5


def test_compressed_input(start):
    node = start(image_transport="compressed")
    images = node.listen(Image, "image")
    visible = node.camera("rgb/image_raw/compressed", CompressedImage)
    thermal = node.camera("thermal/image_raw/compressed", CompressedImage)
    counts = (np.arange(160 * 128).reshape(128, 160) * 3).astype(np.uint16)
    for publisher, pixels, kind, name in (
        (thermal, counts, ".png", "mono16; png compressed mono16"),
        (visible, picture((160, 128), 0), ".jpg", "bgr8; jpeg compressed bgr8"),
    ):
        message = CompressedImage(format=name, data=cv2.imencode(kind, pixels)[1].tobytes())
        message.header.stamp.sec = 7
        publisher.publish(message)
    wait_for(lambda: images.messages, f"the fused image: {node.log}")
    assert stamp_ns(images.messages[0]) == 7_000_000_000
