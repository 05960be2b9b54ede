"""Trees, street lamps and soft shadows."""

from __future__ import annotations

import cv2
import numpy as np

from fusion_lab.synthetic.canvas import Texture
from fusion_lab.synthetic.noise import fractal_noise

TREE_M = (4.6, 5.8)
LAMP_M = (1.9, 5.2)
LAMP_HEAD_M = (1.35, 4.95)


def build_tree(rng: np.random.Generator) -> Texture:
    """Return a broad-leaved tree of 4.6 x 5.8 m: trunk, boughs and a few hundred leaf clumps."""
    per_m = 64
    rows, columns = round(TREE_M[1] * per_m), round(TREE_M[0] * per_m)
    rgb = np.zeros((rows, columns, 3), np.float32)
    cover = np.zeros((rows, columns), np.uint8)
    _wood(rng, rgb, cover)
    heat = np.where(cover > 0, np.float32(0.6), np.float32(0.0))
    clumps = np.column_stack(
        (rng.normal(0.5, 0.17, 760), rng.beta(2.2, 2.6, 760) * 0.72, rng.uniform(0, 1, 760))
    )
    inside = ((clumps[:, 0] - 0.5) / 0.46) ** 2 + ((clumps[:, 1] - 0.34) / 0.36) ** 2 < 1
    clumps = clumps[inside]
    order = np.argsort(clumps[:, 2])
    for across, down, near in clumps[order]:
        centre = (round(across * columns), round(down * rows) + 8)
        light = 0.50 + 0.30 * near + 0.34 * (0.36 - down) - 0.22 * (across - 0.5)
        tint = np.array([78, 104, 44]) + rng.normal(0, 7, 3)
        colour = tuple(float(value) for value in light * 1.25 * tint)
        leaves = np.asarray(centre) + rng.normal(0, 9, (10, 2))
        for leaf in leaves:
            axes = (int(rng.integers(2, 7)), int(rng.integers(2, 5)))
            place, angle = (int(leaf[0]), int(leaf[1])), float(rng.uniform(0, 180))
            cv2.ellipse(rgb, place, axes, angle, 0, 360, colour, -1)
            cv2.ellipse(cover, place, axes, angle, 0, 360, 255, -1)
            cv2.ellipse(heat, place, axes, angle, 0, 360, 0.2 + 1.6 * (light - 0.6), -1)
    smooth = np.asarray(cv2.GaussianBlur(cover, (3, 3), 0.7) / np.float32(255), np.float32)
    spread = cv2.dilate(rgb, np.ones((3, 3), np.uint8))
    rgb = np.where((cover > 0)[..., None], rgb, spread)
    return Texture.build(np.asarray(rgb, np.float32), np.asarray(heat, np.float32), smooth)


def _wood(rng: np.random.Generator, rgb: np.ndarray, cover: np.ndarray) -> None:
    """Draw the trunk and boughs, in place."""
    rows, columns = cover.shape
    trunk = np.array([columns * 0.5, rows - 1.0])
    tops = trunk + np.array([[0, -0.6], [-0.22, -0.62], [0.2, -0.66]]) * (columns, rows)
    fork = trunk + np.array([0.0, -0.34]) * (columns, rows)
    tone = 62 + 8 * fractal_noise(rng, rows, columns, 16, 3)
    bark = np.dstack((tone * 1.05, tone * 0.9, tone * 0.74))
    mask = np.zeros(cover.shape, np.uint8)
    cv2.line(mask, trunk.astype(int).tolist(), fork.astype(int).tolist(), 255, 17, cv2.LINE_AA)
    for top in tops:
        cv2.line(mask, fork.astype(int).tolist(), top.astype(int).tolist(), 255, 9, cv2.LINE_AA)
    rgb[mask > 0] = bark[mask > 0]
    np.maximum(cover, mask, out=cover)


def build_lamp() -> Texture:
    """Return a street lamp of 1.9 x 5.2 m whose head glows at night; the post is on the left."""
    per_m = 56
    rows, columns = round(LAMP_M[1] * per_m), round(LAMP_M[0] * per_m)
    mask = np.zeros((rows, columns), np.uint8)
    post = round(0.2 * per_m)
    head = (round(LAMP_HEAD_M[0] * per_m), rows - round(LAMP_HEAD_M[1] * per_m))
    cv2.line(mask, (post, rows - 1), (post, 26), 255, 6, cv2.LINE_AA)
    cv2.ellipse(mask, (post + 26, 26), (26, 14), 0, 180, 270, 255, 4, cv2.LINE_AA)
    cv2.line(mask, (post + 24, 12), (head[0], head[1] - 4), 255, 4, cv2.LINE_AA)
    shade = np.linspace(0.8, 1.1, columns, dtype=np.float32)[None, :, None]
    rgb = np.broadcast_to(shade * np.array([70, 76, 78], np.float32), (rows, columns, 3)).copy()
    glass = np.zeros((rows, columns), np.uint8)
    cv2.ellipse(mask, head, (21, 8), 0, 0, 360, 255, -1, cv2.LINE_AA)
    cv2.ellipse(glass, (head[0], head[1] + 3), (17, 5), 0, 0, 360, 255, -1, cv2.LINE_AA)
    glow = glass / np.float32(255)
    rgb += glow[..., None] * (np.array([255, 226, 170], np.float32) - rgb)
    heat = np.full((rows, columns), 2.0, np.float32) + 4.0 * glow
    return Texture.build(rgb, heat, mask / np.float32(255), glow)


def build_blob() -> Texture:
    """Return a soft dark disc: the contact shadow under a person or a car."""
    y, x = np.mgrid[-1:1:64j, -1:1:64j].astype(np.float32)
    cover = np.clip(1.25 * (1 - np.hypot(x, y)), 0, 1).astype(np.float32)
    return Texture.build(np.zeros((64, 64, 3), np.float32), np.zeros((64, 64), np.float32), cover)


def build_block() -> Texture:
    """Return a rectangle with soft rims: the shadow of a car or a house."""
    cover = np.zeros((64, 64), np.float32)
    cover[6:-6, 6:-6] = 1.0
    cover = np.asarray(cv2.GaussianBlur(cover, (0, 0), 3.0), np.float32)
    return Texture.build(np.zeros((64, 64, 3), np.float32), np.zeros((64, 64), np.float32), cover)
