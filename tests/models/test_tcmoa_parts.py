"""The shipped TC-MoA: what is lost without its parts, and pairs of kinds never trained on."""

from functools import partial

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from fusion_core.models import Cues, PromptEdit, load_model
from fusion_lab.benches.mechanisms import tcmoa
from fusion_lab.data.making import (
    FocusRanges,
    exposure_pair,
    focus_pair,
    medical_pair,
    satellite_pair,
)
from fusion_lab.metrics import compute_all, to_gray
from fusion_lab.synthetic import SyntheticScene

BYPASSES = {(bypass.part, bypass.how): bypass for bypass in tcmoa.SYSTEM.bypasses}


@pytest.fixture(scope="module")
def net():
    return load_model("tcmoa")


def street_of(seed):
    """A sharp picture of a synthetic street, at half its size."""
    scene = SyntheticScene.from_url(f"synthetic://day?seed={seed}&seconds=1&rgb_hz=1&registered=1")
    frame = next(frame for frame in scene.frames() if frame.modality == "visible")
    return np.ascontiguousarray(frame.image[::2, ::2])


@pytest.fixture(scope="module")
def street():
    return street_of(3)


def planes(picture):
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None].float() / 255


def pairs_of(street, seed):
    clean = FocusRanges(noise=(0, 0), breathing_share=0, jpeg_share=0)
    focus = focus_pair(street, np.random.default_rng(seed), clean)
    exposures = exposure_pair(street, np.random.default_rng(seed))
    return {"mff": focus, "mef": exposures}


@pytest.fixture(scope="module")
def pairs(street):
    return pairs_of(street, 7)


@pytest.fixture(scope="module")
def others():
    return pairs_of(street_of(5), 9)


def decide(net, pair, task, edit=None):
    with torch.inference_mode():
        return net.decide((planes(pair.first), planes(pair.second)), Cues(task=task, edit=edit))


def figure(made, pair, task):
    """Structure kept (``mef``, MEF-SSIM), or PSNR to the sharp picture in dB (``mff``)."""
    fused = made.image[0].clamp(0, 1).permute(1, 2, 0).mul(255).round().byte().numpy()
    if task == "mff":
        wrong = np.square(fused.astype(float) - pair.target).mean()
        return 10 * np.log10(255**2 / wrong)
    sources = to_gray(pair.second), to_gray(pair.first)
    return compute_all(to_gray(fused), sources, ["MEF_SSIM_2015"])["MEF_SSIM_2015"]


def test_focus_prompts_are_what_the_pixels_take(net, pairs):
    made = decide(net, pairs["mff"], "mff")
    prompts = made.told.prompts[..., 0]
    taken = F.interpolate(made.shares[0][:, :1], made.grid, mode="area").flatten()
    for layer in prompts[0]:
        assert np.corrcoef(layer, taken)[0, 1] > 0.85


def two_sided(made):
    """Four times the variance of the prompts over a picture: 1 for halves of 0 and of 1."""
    return 4 * made.told.prompts[..., 0].var(2).mean()


def test_focus_prompts_are_more_bimodal_than_those_of_other_tasks(net, pairs, others):
    """Than those of exposures, and than those of the same pictures under the routers of `vif`."""
    for each in (pairs, others):
        focus, exposures, visible = (
            decide(net, each[kind], task)
            for kind, task in (("mff", "mff"), ("mef", "mef"), ("mff", "vif"))
        )
        assert two_sided(focus) > 0.08 + two_sided(visible)
        assert two_sided(focus) > 0.08 + two_sided(exposures)
        away = (2 * (focus.told.prompts - 0.5)).abs().mean()
        assert away > 0.7
        assert away > 0.4 + (2 * (exposures.told.prompts - 0.5)).abs().mean()


@pytest.mark.parametrize(
    ("part", "how", "task", "least"),
    [
        ("adapters", "removed", "mef", 0.04),
        ("adapters", "removed", "mff", 5.0),
        ("routers", "adapters drawn by lot", "mef", 0.001),
        ("routers", "adapters drawn by lot", "mff", 0.7),
        ("routers", "another task's", "mef", 0.005),
        ("routers", "another task's", "mff", 5.0),
        ("prompts", "one half", "mef", 0.001),
        ("prompts", "one half", "mff", 3.0),
        ("prompts", "another picture's", "mff", 7.0),
        ("clues of the prompts", "none", "mff", 7.0),
    ],
)
def test_what_is_lost_without_a_part(net, pairs, others, part, how, task, least):
    """On both pictures, each in the place of the other where another picture's part is taken."""
    bypass, cues = BYPASSES[part, how], Cues(task=task)
    edit = bypass.cues(cues, cues, net, None).edit
    for pair, other in ((pairs[task], others[task]), (others[task], pairs[task])):
        whole = figure(decide(net, pair, task), pair, task)
        run_other = partial(decide, net, other, task)
        with bypass.hold(net, run_other, np.random.default_rng(0)):
            less = figure(decide(net, pair, task, edit), pair, task)
        assert whole - less > least


@pytest.mark.parametrize("task", ["mef", "mff"])
def test_half_precision_of_the_autoencoder_changes_neither_choices_nor_pictures(net, pairs, task):
    """bfloat16 stands for a GPU's float16, which has eight times as fine numbers."""
    exact = decide(net, pairs[task], task)
    with torch.autocast("cpu", torch.bfloat16):
        half = decide(net, pairs[task], task)
    assert half.gates.dtype == half.told.prompts.dtype == half.image.dtype == torch.float32
    for one, other in ((half.gates, exact.gates), (half.told.gates, exact.told.gates)):
        assert ((one > 0) == (other > 0)).all(-1).float().mean() > 0.99
    off = (half.image.clamp(0, 1) - exact.image.clamp(0, 1)).abs() * 255
    assert off.mean() < 0.1
    assert off.flatten().quantile(0.999) < 1.5


def fuse(net, first, second, task, edit=None):
    with torch.inference_mode():
        image = net(planes(first), planes(second), Cues(task=task, edit=edit)).image
    return (image[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)


def test_scans_of_a_kind_never_trained_on_keep_what_each_shows(net):
    bone, soft = medical_pair(np.random.default_rng(0), 160)
    fused = fuse(net, bone, soft, "mef")[..., 0].astype(int)
    skull = (bone[..., 0] > 200) & (soft[..., 0] < 60)
    folds = np.s_[50:110, 50:110, 0]
    assert fused[skull].mean() > 150
    assert np.corrcoef(fused[50:110, 50:110].ravel(), soft[folds].ravel())[0, 1] > 0.85
    less = fuse(net, bone, soft, "mef", PromptEdit(1.0, -0.3))[..., 0]
    more = fuse(net, bone, soft, "mef", PromptEdit(1.0, 0.3))[..., 0]
    assert less[skull].mean() < fused[skull].mean() <= more[skull].mean() + 1


def test_a_sharp_band_sharpens_the_colours_as_far_as_the_edit_asks(net, street):
    colours, band = satellite_pair(street)
    sharpness = [
        np.abs(np.diff(to_gray(fuse(net, colours, band, "vif", edit)).astype(int))).mean()
        for edit in (PromptEdit(1.0, 1.0), PromptEdit(), PromptEdit(1.0, -1.0))
    ]
    assert sharpness[0] < sharpness[1] <= sharpness[2] + 0.05
    fused = fuse(net, colours, band, "vif", PromptEdit(1.0, -1.0)).astype(float)
    error = np.sqrt(np.square(fused - street).mean())
    assert error < 0.7 * np.sqrt(np.square(colours.astype(float) - street).mean())
