"""Scenes and stacks for tests, made by rules that the code under test does not share."""

import cv2
import numpy as np


def scene(seed=0, shape=(240, 320)):
    """Return a picture of rectangles, discs and texture, in colour."""
    rng = np.random.default_rng(seed)
    height, width = shape
    image = np.full((height, width, 3), 120, np.uint8)
    for _ in range(60):
        x, y = int(rng.integers(width)), int(rng.integers(height))
        colour = tuple(int(v) for v in rng.integers(30, 226, 3))
        if rng.random() < 0.5:
            w, h = (int(v) for v in rng.integers(10, 70, 2))
            cv2.rectangle(image, (x, y), (x + w, y + h), colour, -1)
        else:
            cv2.circle(image, (x, y), int(rng.integers(5, 35)), colour, -1)
    texture = cv2.GaussianBlur(rng.normal(0, 40, shape).astype(np.float32), (0, 0), 1.2)
    return np.clip(image + texture[..., None], 0, 255).astype(np.uint8)


def exposed(picture, stops):
    """Return a picture with the light times 2^stops, by a power curve of 2.2, clipped."""
    light = (picture / 255.0) ** 2.2 * 2.0**stops
    return np.rint(255 * np.clip(light, 0, 1) ** (1 / 2.2)).astype(np.uint8)


def warp_of(shape, shift=(5.0, -3.0), degrees=0.6, scale=1.008):
    """Return a 3x3 similarity about the middle."""
    height, width = shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, scale)
    matrix[:, 2] += shift
    return np.vstack([matrix, [0, 0, 1]])


def warped(picture, matrix):
    """Return the picture with its point p shown at matrix(p)."""
    size = picture.shape[1], picture.shape[0]
    flags, border = cv2.INTER_CUBIC, cv2.BORDER_REFLECT
    return cv2.warpPerspective(picture, matrix, size, flags=flags, borderMode=border)


def write(path, picture):
    path.parent.mkdir(parents=True, exist_ok=True)
    order = picture[..., ::-1] if picture.ndim == 3 and picture.shape[2] == 3 else picture
    assert cv2.imwrite(str(path), order)
    return path


def read(path):
    return cv2.imread(str(path))[..., ::-1]
