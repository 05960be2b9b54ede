"""Shipped weights keep giving the same pictures.

The expected pictures were made by the version before networks took RGB (commit 8b90d09), those of
m2pn-nano by its first version, those of m2pn and m2pn-edge by the first ones whose places read the
memory bank, those of mdaif by the first with running medians, those with a mask by the first
whose segmenter knows what is upright; in float32 on the CPU, of the first pair of the
synthetic scenes day and smoke at seed 5, scaled to 120x90.
"""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import fusion_core as fc
from fusion_core.engine import torch_engine

GOLDEN = Path(__file__).parent / "golden"
SCENES = ("day", "smoke")
MODELS = ("m2pn-edge", "m2pn-nano", "m2pn", "mdaif", "ctrlfuse", "ctrlfuse+mask")


def picture(name):
    return cv2.cvtColor(cv2.imread(str(GOLDEN / f"{name}.png")), cv2.COLOR_BGR2RGB)


@pytest.fixture
def whole_precision(monkeypatch):
    monkeypatch.setattr(torch_engine, "fast_precision", lambda device: torch.float32)


@pytest.mark.usefixtures("whole_precision")
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("scene", SCENES)
def test_pictures_are_those_of_the_version_before(scene, model):
    """One level of 255 is left to other processors' sums in another order."""
    name, _, masked = model.partition("+")
    visible, thermal = picture(f"{scene}-visible"), picture(f"{scene}-thermal")[..., 0]
    mask = np.zeros(thermal.shape, np.uint8)
    mask[30:60, 40:80] = 255
    loaded = fc.load_model(name)
    fused = fc.fuse(thermal, visible, loaded, mask=mask if masked else None)
    expected = picture(f"{scene}-{model}")
    assert np.abs(fused.astype(int) - expected).max() <= 1
    assert np.abs(expected.astype(int) - visible).mean() > 2
