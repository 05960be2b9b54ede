import cv2
import numpy as np
import pytest
import torch
from skimage import data

from fusion_core.engine import Engine, pick_device
from fusion_core.errors import UsageError
from fusion_core.memory import MemoryBank, MemoryConfig
from fusion_core.models import create_model, load_model
from fusion_core.types import AlignedPair


@pytest.fixture(scope="module")
def engine():
    model = create_model("m2pn-edge", seed=0)
    return Engine(model, MemoryBank(model.bank, MemoryConfig(mode="frozen"), model.name))


def colours(height=96, width=128):
    return cv2.resize(data.astronaut(), (width, height), interpolation=cv2.INTER_AREA)


def aligned(visible, thermal, valid=None):
    shape = (visible if visible is not None else thermal).shape[:2]
    return AlignedPair(0, visible, thermal, np.ones(shape, bool) if valid is None else valid)


def test_convention_chroma_stays_that_of_the_rgb_camera(engine):
    """Cb and Cr as scikit-image computes them (BT.601), where luma leaves room for them."""
    from skimage.color import rgb2ycbcr

    visible = colours()
    thermal = visible.mean(axis=2).astype(np.float32) / 255
    fused = engine.fuse(aligned(visible, thermal)).image
    before, after = rgb2ycbcr(visible), rgb2ycbcr(fused)
    room = (fused.min(axis=2) > 2) & (fused.max(axis=2) < 253)
    assert room.mean() > 0.3
    assert np.abs(before - after)[room][:, 1:].mean() < 1.5


def test_a_missing_thermal_side_passes_the_visible_image(engine):
    visible = colours()
    result = engine.fuse(aligned(visible, None))
    assert np.array_equal(result.image, visible)
    assert result.quality is None


def test_a_missing_visible_side_shows_the_thermal_image_in_grey(engine):
    thermal = np.linspace(0, 1, 96 * 128, dtype=np.float32).reshape(96, 128)
    image = engine.fuse(aligned(None, thermal)).image
    assert np.array_equal(image[..., 0], np.rint(thermal * 255).astype(np.uint8))
    assert np.array_equal(image[..., 0], image[..., 2])


def test_outside_the_thermal_view_the_picture_is_the_visible_one(engine):
    visible = colours()
    valid = np.zeros((96, 128), bool)
    valid[20:80, 30:100] = True
    thermal = np.where(valid, 0.9, 0).astype(np.float32)
    fused = engine.fuse(aligned(visible, thermal, valid)).image.astype(int)
    # colour conversion there and back rounds by at most 2 levels
    assert np.abs(fused - visible)[~valid].max() <= 2
    inner = cv2.erode(valid.astype(np.uint8), np.ones((9, 9))).astype(bool)
    assert np.abs(fused - visible)[inner].mean() > 2


def test_inputs_are_not_changed(engine):
    visible, thermal = colours(), np.full((96, 128), 0.5, np.float32)
    kept = visible.copy(), thermal.copy()
    engine.fuse(aligned(visible, thermal))
    assert np.array_equal(visible, kept[0])
    assert np.array_equal(thermal, kept[1])


def test_half_the_bits_change_the_result_by_less_than_half_a_gray_level():
    model = load_model("m2pn")  # those on cells compute in float32 all the same
    grey = torch.from_numpy(cv2.cvtColor(colours(240, 320), cv2.COLOR_RGB2GRAY)).float() / 255
    visible, thermal = grey[None, None], 1 - grey.flip(1)[None, None]
    with torch.inference_mode():
        whole = model.forward_luma(thermal, visible).fused
        with torch.autocast("cpu", torch.bfloat16):
            half = model.forward_luma(thermal, visible).fused
    assert half.dtype == torch.float32
    assert not torch.equal(half, whole)
    # a weight rounded to the type's eight bits is off by 2**-9 at most, half a level of 255
    assert (half - whole).abs().mean() * 255 < 0.5


def test_cuda_without_a_gpu_says_what_to_use(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match="'auto' or 'cpu'"):
        pick_device("cuda")
    assert pick_device("auto").type == "cpu"
