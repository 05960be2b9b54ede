"""Masks over DDS: a real node with a network that takes them."""

import numpy as np
from robot import image_message, repeat_until

MARKED = np.zeros((128, 160), np.uint8)
MARKED[40:80, 60:90] = 255


def start_steered(start, **parameters):
    # The same thermal picture again and again is no closed shutter here.
    still = {"thermal.freeze_frames": 0, "mask.source": "none"}
    node = start(model="ctrlfuse", prior="none", stability=0.0, **still, **parameters)
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
    node, images = start_steered(start, **{"mask.hold_s": 0.0})
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


def test_bad_masks_are_counted_and_named_and_the_node_goes_on(start):
    node, images = start_steered(start)
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
