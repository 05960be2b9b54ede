"""Masks over DDS: a real node with a network that takes them."""

import itertools

import numpy as np
import pytest
from geometry_msgs.msg import Point, PointStamped
from robot import image_message, repeat_until, stamp_ns, wait_for
from sensor_msgs.msg import RegionOfInterest
from vision_msgs.msg import Detection2DArray

from fusion_core.source import open_source

# How far from a mask the picture may change: what the decoder sees, and what the segmenter adds.
REACH = 32
MARKED = np.zeros((128, 160), np.uint8)
MARKED[40:80, 60:90] = 255


def start_with_masks(start, **parameters):
    # The same thermal picture again and again is no closed shutter and has no dead pixels here.
    still = {"thermal.freeze_frames": 0, "thermal.dead_pixels": False, "mask.source": "none"}
    still |= parameters
    node = start(model="ctrlfuse", prior="none", temporal_smoothing=0.0, **still)
    return node, node.connect()


def publish(node, pixels, encoding="mono8"):
    message = image_message(pixels, encoding, node.at(0), "rgb_optical")
    node.camera("fusion/mask").publish(message)


def pixels(message):
    return np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3)


def until(node, key, least, send):
    """Send until the node has counted so many masks."""

    def counted():
        status = node.diagnostics("model")
        return status is not None and int(status[2].get(key, 0)) >= least

    repeat_until(send, counted, f"{key} of {least}")


def test_a_mask_emphasises_until_an_empty_one_comes(start):
    node, images = start_with_masks(start, **{"mask.hold_s": 0.0})
    plain = pixels(node.fuse_pair(images, 100, 7)).copy()
    until(node, "mask given", 1, lambda: publish(node, MARKED))
    marked = pixels(node.fuse_pair(images, 200, 7)).copy()
    change = np.abs(plain.astype(int) - marked).max(axis=2)
    assert change[MARKED > 0].mean() > 1
    for index in range(3, 40):
        # Masks are best effort: one may be lost, as the first of a new publisher.
        publish(node, np.zeros_like(MARKED))
        again = pixels(node.fuse_pair(images, index * 100, 7))
        if np.array_equal(again, plain):
            break
    assert np.array_equal(again, plain)


def test_what_is_pointed_at_is_emphasised_until_it_is_taken_back(start):
    node, images = start_with_masks(start)
    offsets = itertools.count(100, 100)

    def fuse():
        return pixels(node.fuse_pair(images, next(offsets), 7)).astype(int)

    plain = fuse()
    box = RegionOfInterest(x_offset=60, y_offset=40, width=30, height=40)
    point = PointStamped(point=Point(x=75.0, y=60.0))
    boxes = node.camera("fusion/prompt_box", RegionOfInterest)
    for topic, message in (("prompt_box", box), ("prompt_point", point)):
        publisher = node.camera(f"fusion/{topic}", type(message))
        changed = wait_for_picture(
            fuse, lambda p=publisher, m=message: p.publish(m), lambda new: (new != plain).any()
        )
        change = np.abs(changed - plain).max(axis=2)
        assert change[55:65, 70:80].mean() > 1
        assert change[:, 130:].max() == 0
        wait_for_picture(
            fuse, lambda: boxes.publish(RegionOfInterest()), lambda new: (new == plain).all()
        )


def wait_for_picture(fuse, send, done):
    """Send and fuse until the picture is the one expected."""
    for _ in range(40):
        send()
        if done(picture := fuse()):
            return picture
    raise AssertionError("the picture did not become what was asked for")


def test_bad_masks_are_counted_and_named_and_the_node_goes_on(start):
    node, images = start_with_masks(start)
    colour = np.zeros((128, 160, 3), np.uint8)
    until(node, "mask rejected", 1, lambda: publish(node, colour, "rgb8"))
    assert "mask of encoding 'rgb8'" in node.diagnostics("model")[2]["mask problem"]
    until(node, "mask given", 1, lambda: publish(node, MARKED[:64, :80].copy()))
    offsets = iter(range(200, 100_000, 100))
    repeat_until(
        lambda: node.fuse_pair(images, ms := next(offsets), ms // 100),
        lambda: "80x64" in (node.diagnostics("model")[2]["mask problem"]),
        "a mask that does not fit",
    )
    node.fuse_pair(images, next(offsets), 1)
    assert node.diagnostics("synchronisation")[2].get("dropped failed", "0") == "0"


def test_a_mask_for_a_model_without_masks_is_ignored(start):
    node = start()
    images = node.connect()
    publish(node, MARKED)
    node.fuse_pair(images, 100, 1)
    assert node.diagnostics("model")[0] == 0


@pytest.mark.data
def test_what_the_shipped_detector_finds_is_emphasised_in_the_next_frame(start, recordings):
    """A pair of a recording twice: what is found in the first is marked in the second."""
    visible, thermal = people_in_smoke(recordings)
    node, images = start_with_masks(start, detector="default", **{"mask.source": "detector"})
    arrays = node.listen(Detection2DArray, "detections")
    fused = []
    for ms in (100, 200):
        node.send_thermal(ms, thermal.image, thermal.encoding)
        node.send_visible(ms, visible.image, visible.encoding)
        fused.append(pixels(arrived(images, node.at(ms))).astype(int))
    found = arrived(arrays, node.at(100)).detections
    assert "person" in {one.results[0].hypothesis.class_id for one in found}
    inside, near = (around(found, margin, visible.image.shape[:2]) for margin in (0, REACH))
    change = np.abs(fused[1] - fused[0]).max(axis=2)
    assert change[inside].mean() > 1
    # Elsewhere nearly all pixels stay: only what the segmenter adds to the boxes may change.
    assert np.median(change[~near]) == 0
    assert change[~near].mean() < change[inside].mean() / 10
    node.wait_diagnostics("model", lambda _level, _text, values: values["mask frames"] == "1")


def people_in_smoke(recordings):
    """Return both frames of one moment of a registered recording."""
    folder = recordings / "video" / "0117_1620"
    with open_source(visible=str(folder / "vi.mp4"), thermal=str(folder / "ir.mp4")) as source:
        begin = itertools.takewhile(lambda frame: frame.sequence <= 120, source.frames())
        last = {frame.modality: frame for frame in begin}
    return last["visible"], last["thermal"]


def arrived(listener, stamp):
    """Wait for the message of a stamp."""
    wait_for(lambda: stamp in listener.stamps, f"the message of {stamp}")
    return next(message for message in listener.messages if stamp_ns(message) == stamp)


def around(detections, margin, shape):
    """Return where detections are, and so many pixels around them."""
    marked = np.zeros(shape, bool)
    for box in (one.bbox for one in detections):
        x, y = box.center.position.x, box.center.position.y
        reach_x, reach_y = box.size_x / 2 + margin, box.size_y / 2 + margin
        rows, columns = np.ogrid[: shape[0], : shape[1]]
        marked |= (abs(rows + 0.5 - y) <= reach_y) & (abs(columns + 0.5 - x) <= reach_x)
    return marked
