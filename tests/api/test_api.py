import subprocess
import sys

import numpy as np
import pytest

import fusion_core as fc
from fusion_core.engine import Engine
from fusion_core.errors import CalibrationError, EncodingError, MaskError
from fusion_core.models import load_model
from fusion_core.priors import assess_pair
from fusion_core.priors.embedded import EmbeddedProvider
from fusion_core.types import AlignedPair

RNG = np.random.default_rng(0)
VISIBLE = RNG.integers(0, 256, (64, 80, 3), np.uint8)
THERMAL = RNG.integers(0, 256, (64, 80), np.uint8)


def test_numpy_in_numpy_out():
    fused = fc.fuse(THERMAL, VISIBLE)
    assert fused.shape == (64, 80, 3)
    assert fused.dtype == np.uint8


def test_calls_do_not_depend_on_earlier_calls():
    first = fc.fuse(THERMAL, VISIBLE)
    fc.fuse(255 - THERMAL, VISIBLE)
    assert np.array_equal(fc.fuse(THERMAL, VISIBLE), first)


def test_unit_floats_and_bytes_mean_the_same():
    unit = THERMAL.astype(np.float32) / 255
    assert np.array_equal(fc.fuse(unit, VISIBLE), fc.fuse(THERMAL, VISIBLE))


def test_counts_of_any_range_are_gain_controlled():
    counts = THERMAL.astype(np.uint16) * 4 + 29000
    shifted = counts + 500
    difference = fc.fuse(counts, VISIBLE).astype(int) - fc.fuse(shifted, VISIBLE)
    # the limits come from histogram bins, whose edges move with the counts
    assert np.abs(difference).mean() < 1


@pytest.mark.parametrize(
    ("thermal", "visible", "words"),
    [
        (VISIBLE, VISIBLE, "thermal: uint8 array of shape"),
        (THERMAL.astype(np.int64), VISIBLE, "thermal: int64"),
        (THERMAL, THERMAL, "visible: uint8 array of shape"),
        (THERMAL, VISIBLE.astype(np.float32), "visible: float32"),
    ],
)
def test_wrong_arrays_are_named(thermal, visible, words):
    with pytest.raises(EncodingError, match=words):
        fc.fuse(thermal, visible)


def test_sizes_that_differ_are_refused():
    with pytest.raises(CalibrationError):
        fc.fuse(THERMAL[:32], VISIBLE)


def test_a_mask_changes_the_picture_and_must_fit():
    mask = np.zeros(VISIBLE.shape[:2], np.uint8)
    plain = fc.fuse(THERMAL, VISIBLE, model="ctrlfuse", device="cpu")
    assert np.array_equal(plain, fc.fuse(THERMAL, VISIBLE, "ctrlfuse", "cpu", mask))
    mask[20:40, 20:40] = 1
    assert not np.array_equal(plain, fc.fuse(THERMAL, VISIBLE, "ctrlfuse", "cpu", mask))
    with pytest.raises(MaskError, match="lies on the visible image's grid"):
        fc.fuse(THERMAL, VISIBLE, "ctrlfuse", "cpu", mask[:10])


def test_importing_the_package_does_not_import_torch():
    code = "import fusion_core, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nonsense"):
        _ = fc.nonsense


def test_a_model_that_uses_a_prior_is_told_one():
    """The picture is that of the engine with the embedded provider's prior, not without."""
    rng = np.random.default_rng(0)
    thermal = rng.integers(0, 255, (64, 96), dtype=np.uint8)
    visible = np.full((64, 96, 3), 180, np.uint8)
    engine = Engine(load_model("mdaif"), None)
    pair = AlignedPair(0, visible, thermal * np.float32(1 / 255), np.ones((64, 96), bool))
    told = engine.fuse(pair, assess_pair(EmbeddedProvider(), pair)).image
    found = fc.fuse(thermal, visible, model="mdaif", device="cpu")
    assert np.array_equal(found, told)
    assert not np.array_equal(found, engine.fuse(pair).image)
