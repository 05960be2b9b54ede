"""Changes to training pairs that widen what a network has seen; the losses see them as well."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from pydantic import ConfigDict

from fusion_core.types import FloatImage, UInt8Image


@dataclass(frozen=True)
class Augmentation:
    """Ranges of the random changes; probabilities are per crop.

    Attributes:
        scale: Smallest and largest edge of a crop before resizing, in units of its final edge.
        flip: Probability of a horizontal flip.
        dark: Probability that the visible crop becomes night: gain .15-.6, gamma 1-1.8, noise.
        veil: Probability that smoke or haze covers the visible crop.
        veil_lift: What a dense veil adds to the thermal saliency below it, so that lukewarm things
            that only thermal still shows are taken from there.
        tone: Probability of gamma .7-1.4 and gain .8-1.15 on the visible crop.
        thermal_tone: Probability of contrast .5-1.2 and offset -.15-.15 on the thermal crop.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    scale: tuple[float, float] = (0.8, 2.0)
    flip: float = 0.5
    dark: float = 0.1
    veil: float = 0.15
    veil_lift: float = 0.2
    tone: float = 0.3
    thermal_tone: float = 0.3


def augment_pair(
    planes: UInt8Image, augmentation: Augmentation, rng: np.random.Generator
) -> FloatImage:
    """Return ``3xHxW`` float32 in [0, 1] from ``HxWx3`` uint8 thermal, luma and saliency."""
    if rng.random() < augmentation.flip:
        planes = planes[:, ::-1]
    stack: FloatImage = planes.transpose(2, 0, 1).astype(np.float32, order="C") / np.float32(255)
    thermal, visible = stack[0], stack[1]
    if rng.random() < augmentation.thermal_tone:
        thermal = (thermal - 0.5) * rng.uniform(0.5, 1.2) + 0.5 + rng.uniform(-0.15, 0.15)
    if rng.random() < augmentation.tone:
        visible = rng.uniform(0.8, 1.15) * visible ** rng.uniform(0.7, 1.4)
    kind = rng.random()
    if kind < augmentation.dark:
        visible = _night(visible, rng)
    elif kind < augmentation.dark + augmentation.veil:
        transmission = _transmission(visible.shape, rng)
        visible = visible * transmission + rng.uniform(0.55, 0.95) * (1 - transmission)
        stack[2] = np.clip(stack[2] + augmentation.veil_lift * (1 - transmission), 0, 1)
    stack[0], stack[1] = np.clip(thermal, 0, 1), np.clip(visible, 0, 1)
    return stack


def _night(visible: FloatImage, rng: np.random.Generator) -> FloatImage:
    """Darken, then add the sensor noise that a long exposure cannot hide."""
    dark = rng.uniform(0.15, 0.6) * visible ** rng.uniform(1.0, 1.8)
    noise = rng.normal(0, rng.uniform(0.002, 0.015), visible.shape)
    return np.asarray(dark + noise, dtype=np.float32)


def _transmission(shape: tuple[int, ...], rng: np.random.Generator) -> FloatImage:
    """Return exp(-optical thickness) of a cloud: smooth noise, plus a uniform part for haze.

    The veiled picture is J t + A (1 - t), Koschmieder's law.
    """
    coarse = rng.uniform(0, 1, (int(rng.integers(2, 6)), int(rng.integers(2, 6))))
    cloud = cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    thickness = np.clip(rng.uniform(1.0, 4.0) * (cloud - rng.uniform(0, 0.6)), 0, None)
    return np.asarray(np.exp(-thickness - rng.uniform(0, 0.5)), dtype=np.float32)
