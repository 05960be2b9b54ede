"""The shipped TC-MoA: what is lost without its parts, and pairs of kinds never trained on."""

from contextlib import nullcontext

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


@pytest.fixture(scope="module")
def street():
    scene = SyntheticScene.from_url("synthetic://day?seed=3&seconds=1&rgb_hz=1&registered=1")
    frame = next(frame for frame in scene.frames() if frame.modality == "visible")
    return np.ascontiguousarray(frame.image[::2, ::2])


def planes(picture):
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None].float() / 255


@pytest.fixture(scope="module")
def pairs(street):
    clean = FocusRanges(noise=(0, 0), breathing_share=0, jpeg_share=0)
    focus = focus_pair(street, np.random.default_rng(4), clean)
    exposures = exposure_pair(street, np.random.default_rng(4))
    return {"mff": focus, "mef": exposures}


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


@pytest.mark.parametrize(("task", "least"), [("mef", 0.8), ("mff", 0.4)])
def test_prompts_ask_for_what_the_pixels_take(net, pairs, task, least):
    made = decide(net, pairs[task], task)
    prompts = made.told.prompts[..., 0].mean(1).flatten()
    levels = [F.interpolate(level, made.grid, mode="area") for level in made.shares]
    taken = torch.stack(levels).mean(0)[:, 0].flatten()
    assert np.corrcoef(prompts, taken)[0, 1] > least


@pytest.mark.parametrize(
    ("part", "how", "task", "least"),
    [
        ("adapters", "removed", "mef", 0.02),
        ("adapters", "removed", "mff", 1.0),
        ("routers", "adapters drawn by lot", "mef", 0.002),
        ("routers", "adapters drawn by lot", "mff", 0.1),
        ("routers", "another task's", "mef", 0.002),
        ("routers", "another task's", "mff", 0.1),
    ],
)
def test_what_is_lost_without_a_part(net, pairs, part, how, task, least):
    bypass, cues = BYPASSES[part, how], Cues(task=task)
    whole = figure(decide(net, pairs[task], task), pairs[task], task)
    edit = bypass.cues(cues, cues, net, None).edit
    with bypass.hold(net, nullcontext, np.random.default_rng(0)):
        less = figure(decide(net, pairs[task], task, edit), pairs[task], task)
    assert whole - less > least


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
    assert np.corrcoef(fused[50:110, 50:110].ravel(), soft[folds].ravel())[0, 1] > 0.9
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
