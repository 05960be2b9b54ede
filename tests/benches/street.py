"""A few registered pictures of the synthetic street, with exact masks of people, at half size."""

import functools
from pathlib import Path

import cv2
import numpy as np

from fusion_lab.benches.ctrlfuse.data import MaskedPair
from fusion_lab.data import Example
from fusion_lab.synthetic import SyntheticScene


@functools.cache
def street(scene="day"):
    """Return visible RGB and thermal, 240x320 uint8, and the truth's label map."""
    frames = SyntheticScene.from_url(
        f"synthetic://{scene}?seed=1&seconds=0.1&registered=1"
    ).frames()
    visible, thermal = next(frames), next(frames)
    counts = thermal.image.astype(np.float32)
    gray = np.rint(255 * (counts - counts.min()) / np.ptp(counts)).astype(np.uint8)
    half = [cv2.resize(p, (320, 240), interpolation=cv2.INTER_AREA) for p in (visible.image, gray)]
    return (*half, cv2.resize(visible.truth.mask, (320, 240), interpolation=cv2.INTER_NEAREST))


def example(visible, thermal, name="0"):
    return Example(
        visible, thermal, None, "vif", "", None, None, Path("street"), name, f"street/{name}"
    )


def masked_street(scene="day"):
    """Return the street as a pair with masks: people, the boxes of cars, nothing hot."""
    visible, thermal, truth = street(scene)
    luma = cv2.cvtColor(visible, cv2.COLOR_RGB2GRAY)
    masks = [((truth == number) * 255).astype(np.uint8) for number in (1, 2)]
    planes = [thermal, luma, thermal, *masks, np.zeros_like(luma)]
    return MaskedPair(example(visible, thermal), np.dstack(planes))
