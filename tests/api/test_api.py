import subprocess
import sys

import numpy as np
import pytest
from small_networks import Plain, Weighted

import fusion_core as fc
from fusion_core.api import model_for
from fusion_core.engine import Engine
from fusion_core.errors import CalibrationError, EncodingError, MaskError, UsageError
from fusion_core.models import Features, load_model
from fusion_core.models.ctrlfuse import CtrlFuseOptions
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


def _locked(array):
    array = array.copy()
    array.setflags(write=False)
    return array


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "view",
    [
        lambda array: array[..., ::-1].copy()[..., ::-1],  # as BGR that was turned into RGB
        lambda array: array.repeat(2, 0)[::2],
        np.asfortranarray,
        _locked,
    ],
    ids=["reversed", "strided", "fortran", "read-only"],
)
def test_any_view_of_an_array_is_fused_as_its_copy_is(view):
    mask = np.zeros((64, 80), np.uint8)
    mask[20:40, 20:40] = 255
    calls = [
        lambda a, b, m: fc.fuse(a, b),
        lambda a, b, m: fc.fuse(a, b, model="ctrlfuse", mask=m),
        lambda a, b, m: fc.fuse(a, b, model="tcmoa"),
        lambda a, b, m: fc.fuse_images(b, 255 - b, task="mef"),
        lambda a, b, m: fc.explain_images(b, b[::-1], task="mff").image,
    ]
    for call in calls:
        expected = call(THERMAL, VISIBLE, mask)
        assert np.array_equal(call(view(THERMAL), view(VISIBLE), view(mask)), expected)


def test_calls_do_not_depend_on_earlier_calls():
    first = fc.fuse(THERMAL, VISIBLE)
    fc.fuse(255 - THERMAL, VISIBLE)
    assert np.array_equal(fc.fuse(THERMAL, VISIBLE), first)


def test_unit_floats_and_bytes_mean_the_same():
    unit = THERMAL.astype(np.float32) / 255
    difference = fc.fuse(unit, VISIBLE).astype(int) - fc.fuse(THERMAL, VISIBLE)
    # A hundred-millionth of the range may round a few pixels to the other side.
    assert np.abs(difference).max() <= 2
    assert (difference != 0).mean() < 0.01


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


def test_a_model_that_uses_a_prior_gets_one():
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


def test_a_loaded_model_gives_what_its_name_gives_with_its_options():
    mask = np.zeros(VISIBLE.shape[:2], np.uint8)
    mask[20:40, 20:40] = 1
    model = load_model("ctrlfuse")
    named = fc.fuse(THERMAL, VISIBLE, "ctrlfuse", "cpu", mask)
    assert np.array_equal(fc.fuse(THERMAL, VISIBLE, model, mask=mask), named)
    model.configure(CtrlFuseOptions(gain=0.0))
    plain = fc.fuse(THERMAL, VISIBLE, "ctrlfuse", "cpu")
    assert np.array_equal(fc.fuse(THERMAL, VISIBLE, model, mask=mask), plain)


@pytest.mark.parametrize("name", ["m2pn-edge", "mdaif"])
def test_visible_and_thermal_as_pictures_give_nearly_what_fuse_gives(name):
    """The colour is attached in float here and in 8 bits there.

    There, a colour that leaves the range by as little as a level of luma is clipped: not compared.
    """
    x, y = np.meshgrid(np.arange(96), np.arange(64))
    visible = np.dstack([100 + x, 200 - x, 90 + y]).astype(np.uint8)
    thermal = (60 + 2 * y).astype(np.uint8)
    fused = fc.fuse_images(visible, np.dstack([thermal] * 3), model=name, device="cpu")
    expected = fc.fuse(thermal, visible, name, "cpu").astype(int)
    inside = ((expected > 0) & (expected < 255)).all(axis=-1)
    assert inside.mean() > 0.1
    assert np.abs(fused - expected)[inside].max() <= 3
    assert np.abs(fused - expected).mean() < 1


def test_the_first_installed_model_that_does_the_task_is_taken():
    gray = np.dstack([THERMAL] * 3)
    fused = fc.fuse_images(VISIBLE, gray)
    assert fused.shape == VISIBLE.shape
    assert fused.dtype == np.uint8


@pytest.mark.parametrize("task", ["mef", "mff"])
def test_three_pictures_in_any_order_give_one(task):
    """Of the model that does the task; each picture shows one third of a checkerboard sharply."""
    board = (np.indices((48, 60)).sum(0) // 2 % 2 * 160 + 40).astype(np.uint8)
    pictures = []
    for third in range(3):
        picture = np.full((48, 60, 3), 120, np.uint8)
        picture[:, 20 * third : 20 * third + 20] = board[:, 20 * third : 20 * third + 20, None]
        picture[0, 0] = 10 * third  # so that none is as bright as another
        pictures.append(picture)
    fused = fc.fuse_images(*pictures, task=task, device="cpu")
    assert np.array_equal(fc.fuse_images(*pictures[::-1], task=task, device="cpu"), fused)
    spread = [fused[4:-4, 20 * third + 4 : 20 * third + 16].std() for third in range(3)]
    assert min(spread) > 0.6 * board.std()


def test_pictures_after_the_second_are_fused_with_the_result():
    """Means in turn: ((0 + 80) / 2 + 200) / 2 = 120."""
    network = Plain(tasks=("mef",))
    network.features = Features(tasks=("mef",), max_pictures=3)
    dark, middle, bright = (np.full((16, 16, 3), level, np.uint8) for level in (0, 80, 200))
    fused = fc.fuse_images(dark, middle, bright, task="mef", model=network)
    assert (fused == 120).all()
    with pytest.raises(UsageError, match="'plain': fuses up to 3 pictures, 4 are given"):
        fc.fuse_images(dark, dark, middle, bright, task="mef", model=network)


def test_a_text_changes_the_picture_where_the_model_takes_one():
    pictures = VISIBLE, VISIBLE[::-1].copy()
    network = Weighted()
    plain = fc.fuse_images(*pictures, task="mff", model=network)
    told = fc.fuse_images(*pictures, task="mff", model=network, text="sharp and bright")
    again = fc.fuse_images(*pictures, task="mff", model=network, text="sharp and bright")
    assert not np.array_equal(plain, told)
    assert np.array_equal(told, again)


def test_a_model_that_reads_texts_is_taken_for_a_text_and_for_nothing_else():
    found = [model_for(task, text) for task in ("vif", "mef") for text in (None, "bright")]
    assert found == ["m2pn-edge", "mmaif", "tcmoa", "mmaif"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"task": "med", "text": "bright"}, "no installed model does task 'med' with a text"),
        ({"task": "mef", "model": "m2pn-edge"}, "does vif, not 'mef'; models that do: .*tcmoa"),
        ({"text": "bright", "model": "m2pn-edge"}, "m2pn-edge: takes no text"),
        ({"model": Plain(tasks=("mef",))}, "'plain': does mef, not 'vif'; models that do: .*m2pn"),
    ],
)
def test_what_no_model_can_do_is_refused(arguments, words):
    with pytest.raises(UsageError, match=words):
        fc.fuse_images(VISIBLE, VISIBLE, **arguments)


@pytest.mark.parametrize(
    ("pictures", "error", "words"),
    [
        ((VISIBLE,), UsageError, "1 picture"),
        ((VISIBLE, THERMAL), EncodingError, r"picture 2: uint8 array of shape \(64, 80\)"),
        ((VISIBLE.astype(float), VISIBLE), EncodingError, "picture 1: float64"),
        ((VISIBLE, VISIBLE[:32]), CalibrationError, "picture 2 is 80x32, the first one 80x64"),
    ],
)
def test_pictures_that_cannot_be_fused_are_named(pictures, error, words):
    with pytest.raises(error, match=words):
        fc.fuse_images(*pictures)
