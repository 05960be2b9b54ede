"""Camera streams: rates, jitter, loss, gaps, changes of resolution, invalid messages."""

import importlib.util
import itertools
import threading
import time

import cv2
import numpy as np
import pytest
from fusion_node.image_subscriptions import message_class
from lifecycle_msgs.srv import GetState
from robot import START_NS, image_message, number, picture, repeat_until, wait_for
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from vision_msgs.msg import Detection2DArray

from fusion_core.errors import UsageError


def play(node, events):
    """Send `(visible?, ms, index)` events in order, some twenty visible frames a second."""
    for visible, ms, index in events:
        if visible:
            node.send_visible(ms, picture((160, 128), index))
            time.sleep(0.05)
        else:
            node.send_thermal(ms, picture((160, 128), index, 1))


def test_a_pair_comes_out_with_stamp_frame_and_everything_beside_it(start):
    node = start()
    images = node.connect()
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
    camera = node.camera("rgb/camera_info", CameraInfo)
    repeat_until(
        lambda: camera.publish(info),
        lambda: node.diagnostics("calibration")[2]["visible"] == "160x128",
        "the camera info in the diagnostics",
    )
    indices = iter(range(100))

    def send():
        index = next(indices)
        node.fuse_pair(images, index * 100 + 0.123456, index)

    repeat_until(send, lambda: all(entry.messages for entry in beside.values()), "all outputs")
    fused = images.messages[0]
    assert images.stamps[0] == node.at(0.123456)
    assert fused.header.frame_id == "rgb_optical"
    assert (fused.encoding, fused.width, fused.height, fused.step) == ("bgr8", 160, 128, 480)
    assert len(fused.data) == 480 * 128
    headers = [message.header for message in images.messages]
    for name, listener in beside.items():
        assert listener.messages[0].header in headers, name
    assert list(beside["camera_info"].messages[0].k) == list(info.k)
    assert beside["detections"].messages[0].detections == []
    assert beside["debug_image"].messages[0].width == 3 * 160
    jpeg = np.frombuffer(beside["image/compressed"].messages[0].data, np.uint8)
    assert cv2.imdecode(jpeg, cv2.IMREAD_COLOR).shape == (128, 160, 3)


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8"])
def test_convention_red_stays_red(start, encoding):
    node = start()
    images = node.connect()
    red = np.zeros((128, 160, 3), np.uint8)
    red[..., encoding.index("r")] = 200
    node.send_thermal(0, picture((160, 128), 0, 1))
    node.send_visible(0, red, encoding)
    wait_for(lambda: images.messages, "the fused image")
    fused = np.frombuffer(images.messages[0].data, np.uint8).reshape(128, 160, 3)
    blue_out, green_out, red_out = fused.reshape(-1, 3).mean(axis=0)
    assert red_out > blue_out + 50
    assert red_out > green_out + 50


def test_ten_vga_pairs_a_second_all_arrive(start):
    node = start()
    images = node.connect()
    sent = 30
    for index in range(sent):
        due = time.monotonic() + 0.1
        node.fuse_pair(images, index * 100, index, (640, 480))
        time.sleep(max(0.0, due - time.monotonic()))
    counters = node.counters()
    assert len(images.messages) == counters["fused"] == sent
    assert counters["visible received"] == counters["visible read"] == sent
    assert counters["thermal received"] == counters["thermal read"] == sent
    assert not any(count for key, count in counters.items() if key.startswith("dropped"))


def test_nine_hertz_thermal_beside_thirty_hertz_visible(start):
    node = start()
    images = node.connect()
    visible = [(True, index * 1000 / 30, index) for index in range(60)]
    thermal = [(False, 7 + index * 1000 / 9, index) for index in range(18)]
    play(node, sorted(visible + thermal, key=lambda event: event[1]))
    counters = node.counters()
    assert counters["fused"] == len(images.messages)
    # Only the last frames still wait for a partner that never comes.
    assert counters["pairs"] >= counters["visible read"] - 4
    assert len(images.messages) >= 60 // 8
    assert images.stamps == sorted(images.stamps)
    assert "missing" not in node.diagnostics("synchronisation")[1]


def test_two_cameras_at_sixty_hertz_do_not_starve_the_node(start):
    """What it cannot fuse it drops; results, services and diagnostics go on meanwhile."""
    node = start()
    images = node.connect()
    pictures = [[picture((640, 480), index, channels) for channels in (1, 3)] for index in range(4)]
    stop = threading.Event()

    def film():
        start_s = time.monotonic()
        for index in itertools.count():
            if stop.wait(max(0.0, start_s + index / 60 - time.monotonic())):
                return
            thermal, visible = pictures[index % 4]
            node.send_thermal(index * 1000 / 60, thermal)
            node.send_visible(index * 1000 / 60, visible)

    cameras = threading.Thread(target=film, daemon=True)
    cameras.start()
    try:
        for more in (5, 10):
            wait_for(lambda more=more: len(images.messages) >= more, "fused images meanwhile")
            assert node.call(GetState, "get_state").current_state.label == "active"
            node.wait_diagnostics("node", lambda *_: True)
    finally:
        stop.set()
        cameras.join()
    counters = node.counters()
    assert counters["fused"] + counters.get("dropped busy", 0) == counters["pairs"] >= 10
    for stream in ("visible", "thermal"):
        assert counters[f"{stream} read"] == counters[f"{stream} received"] >= counters["fused"] - 1
    assert images.stamps == sorted(images.stamps)


def test_jitter_and_loss_are_accounted_for(start):
    node = start()
    images = node.connect()
    random = np.random.default_rng(5)
    events = []
    for index in range(60):
        for visible in (True, False):
            if random.random() >= 0.05:
                ms = index * 100 + random.uniform(0, 20)
                events.append((ms + random.uniform(0, 40), (visible, ms, index)))
    play(node, [event for _, event in sorted(events)])
    sent = sum(visible for _, (visible, _, _) in events)
    counters = node.counters()
    for stream, count in (("visible", sent), ("thermal", len(events) - sent)):
        # An input keeps only the newest image, so a busy node passes over some, a starved one many.
        assert count // 4 <= counters[f"{stream} received"] <= count
        assert counters[f"{stream} read"] == counters[f"{stream} received"]
    pairing = ("no_partner", "unused", "too_old", "out_of_order", "duplicate", "overrun")
    dropped = sum(counters.get(f"dropped {cause}", 0) for cause in pairing)
    used = counters["visible read"] + counters["thermal read"] - dropped
    # A pair uses one or two new images; the last ones still wait for a partner that never comes.
    assert counters["pairs"] <= used <= 2 * counters["pairs"] + 6
    assert counters["pairs"] + dropped >= counters["visible read"] - 3
    assert counters["fused"] == len(images.messages) >= sent // 8
    assert images.stamps == sorted(images.stamps)
    assert float(node.diagnostics("synchronisation")[2]["skew p99 ms"]) <= 150


def test_a_gap_of_two_seconds_in_the_thermal_stream(start):
    node = start()
    images = node.connect()
    for index in range(5):
        node.fuse_pair(images, index * 100, index)
    play(node, [(True, 500 + index * 100, index) for index in range(20)])
    level, message, _ = node.wait_diagnostics(
        "synchronisation", lambda _l, message, _v: "thermal_missing" in message
    )
    assert level == 1, message
    assert len(images.messages) >= 5 + 10
    for index in range(3):
        node.fuse_pair(images, 2500 + index * 100, index)
    node.wait_diagnostics("synchronisation", lambda level, _m, _v: level == 0)


def test_a_change_of_resolution(start):
    node = start()
    images = node.connect()
    for index, size in enumerate(((160, 128), (320, 240), (160, 128))):
        fused = node.fuse_pair(images, index * 100, index, size)
        assert (fused.width, fused.height) == size
        assert len(fused.data) == 3 * size[0] * size[1]


def test_invalid_messages_are_dropped_and_counted(start):
    node = start()
    images = node.connect()
    node.send_visible(100, picture((160, 128), 1, 1), "bayer_of_tomorrow")
    half = image_message(picture((160, 64), 1), "rgb8", node.at(200), "rgb_optical")
    half.height = 128
    for rejected, message in enumerate((half, Image(), None), start=1):
        # One at a time: an input keeps only the newest message.
        node.wait_diagnostics(
            "synchronisation",
            lambda _l, _m, values, n=rejected: (
                n
                == sum(
                    number(values, f"dropped {cause}") for cause in ("unknown_encoding", "corrupt")
                )
            ),
        )
        if message is not None:
            node.camera("rgb/image_raw").publish(message)
    node.fuse_pair(images, 300, 3)
    counters = node.counters()
    assert (counters["dropped unknown_encoding"], counters["dropped corrupt"]) == (2, 1)
    assert "bayer_of_tomorrow" in node.log


def test_stamps_that_jump_back(start):
    node = start()
    images = node.connect()
    for index in range(3):
        node.fuse_pair(images, index * 100, index)
    images.ignore_until(-1)
    for index in range(3, 6):
        node.fuse_pair(images, index * 100 - 60_000, index)
    counters = node.counters()
    assert counters["fused"] == 6
    assert counters["visible read"] == counters["thermal read"] == 6


def test_compressed_input(start):
    node = start(image_transport="compressed")
    images = node.listen(Image, "image")
    visible = node.camera("rgb/image_raw/compressed", CompressedImage)
    thermal = node.camera("thermal/image_raw/compressed", CompressedImage)
    counts = (np.arange(160 * 128).reshape(128, 160) * 3).astype(np.uint16)
    seconds = iter(range(7, 100))

    def send():
        second = next(seconds)
        for publisher, pixels, kind, name in (
            (thermal, counts, ".png", "mono16; png compressed mono16"),
            (visible, picture((160, 128), 0), ".jpg", "bgr8; jpeg compressed bgr8"),
        ):
            message = CompressedImage(format=name, data=cv2.imencode(kind, pixels)[1].tobytes())
            message.header.stamp.sec = second
            publisher.publish(message)

    repeat_until(send, lambda: images.messages, "a fused image")
    assert images.stamps[0] % 1_000_000_000 == 0
    assert (images.messages[0].width, images.messages[0].height) == (160, 128)
    _, _, values = node.wait_diagnostics(
        "synchronisation", lambda _l, _m, values: number(values, "fused") > 0
    )
    assert number(values, "dropped unknown_encoding") == 0


def play_pairs(node, thermal_stamp, count=30):
    """Send pairs at some 10 Hz, their thermal stamps by a function of the visible ones."""
    node.camera("thermal/image_raw"), node.camera("rgb/image_raw")
    for index in range(count):
        now = node.at(index * 100)
        thermal = image_message(picture((160, 128), index, 1), "mono8", thermal_stamp(now), "ir")
        node.camera("thermal/image_raw").publish(thermal)
        node.send_visible(index * 100, picture((160, 128), index))
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("thermal_stamp", "words"),
    [(lambda _: 0, "are not set"), (lambda _: 7_000_000_000, "do not change")],
)
def test_unset_and_constant_stamps_fall_back_to_reception(start, thermal_stamp, words):
    node = start()
    node.connect()
    play_pairs(node, thermal_stamp)
    level, message, _ = node.wait_diagnostics("input", lambda _l, message, _v: words in message)
    assert level == 1
    assert "time of reception" in message
    assert node.counters().get("thermal dropped duplicate", 0) <= 2


@pytest.mark.parametrize("clock_s", [37, -37])
def test_a_clock_that_is_apart_is_named_and_does_not_silence_the_node(start, clock_s):
    node = start()
    images = node.connect()
    play_pairs(node, lambda stamp: stamp + clock_s * 1_000_000_000)
    _, message, values = node.wait_diagnostics(
        "synchronisation", lambda _l, message, _v: "the clocks differ by" in message
    )
    assert "37.0 s" in message
    assert "sync.thermal_offset_ms" in message
    assert int(values["visible_only"]) > 15
    assert len(images.messages) > 15
    assert node.log.count("the clocks differ by") == 1


def test_a_clock_that_is_apart_is_corrected_by_auto(start):
    node = start(**{"sync.thermal_offset_ms": "auto"})
    node.listen(Image, "image")
    node._start_ns = START_NS
    play_pairs(node, lambda stamp: stamp + 37_000_000_000, 40)
    _, message, values = node.wait_diagnostics(
        "synchronisation", lambda _l, _m, values: int(values["fused"]) > 20
    )
    assert "clocks differ" not in message
    assert int(values["visible_only"]) <= 2
    assert float(values["clocks thermal_offset_ms"]) == pytest.approx(-37_000, abs=100)


def test_a_transport_whose_messages_are_missing_is_refused_by_name():
    with pytest.raises(UsageError, match=r"'theora': use one of raw, compressed"):
        message_class("theora")
    if importlib.util.find_spec("ffmpeg_image_transport_msgs") is None:
        with pytest.raises(UsageError, match=r"ros-.*-ffmpeg-image-transport-msgs"):
            message_class("ffmpeg")
