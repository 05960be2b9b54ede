"""Cross-modal pictures whose registration is known."""

import cv2
import numpy as np

H, W = 240, 320


def scene_pair(seed=0, height=H, width=W, margin=40):
    """Return visible RGB and thermal uint8 of one scene, the thermal one with a margin around.

    Objects have colours and temperatures that have nothing to do with each other, so that
    edges agree and brightness does not.
    """
    rng = np.random.default_rng(seed)
    size = (height + 2 * margin, width + 2 * margin)
    visible = np.full((*size, 3), 120, np.float32)
    thermal = np.full(size, 100, np.float32)
    for _ in range(150):
        box = rng.uniform((0, 0, 8, 8), (size[1], size[0], 70, 50))
        corners = cv2.boxPoints((box[:2], box[2:], rng.uniform(0, 180)))
        area = np.round(corners).astype(np.int32)
        cv2.fillPoly(visible, [area], rng.uniform(0, 255, 3).tolist())
        cv2.fillPoly(thermal, [area], float(rng.uniform(20, 235)))
    visible = cv2.GaussianBlur(visible, (0, 0), 1) + rng.normal(0, 3, (*size, 3))
    thermal = cv2.GaussianBlur(thermal, (0, 0), 1) + rng.normal(0, 2, size)
    inner = slice(margin, margin + height), slice(margin, margin + width)
    return to_8_bit(visible[inner]), to_8_bit(thermal)


def to_8_bit(image):
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def thermal_through(thermal, field, margin=40):
    """Return the thermal picture in which the visible pixel ``p`` is at ``p + field(p)`` inverted.

    Args:
        thermal: With the margin, registered with the visible picture.
        field: ``HxWx2``; the result is ``warped(q) = thermal(q + field(q))``.
    """
    y, x = np.mgrid[: field.shape[0], : field.shape[1]].astype(np.float32)
    places = np.stack((x, y), axis=2) + field.astype(np.float32) + margin
    return cv2.remap(thermal, places, None, cv2.INTER_CUBIC)


def field_of(matrix, height=H, width=W):
    """Return where a homography moves each pixel, by OpenCV."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    pixels = np.stack((x, y), axis=2)
    return cv2.perspectiveTransform(pixels, np.asarray(matrix, np.float64)) - pixels


def end_point_error(found, true, border=0):
    inner = (slice(border, -border or None),) * 2
    return float(np.linalg.norm(found[inner] - true[inner], axis=2).mean())
