"""What the shipped TC-MoA does: decisions, prompts, edits, and what its parts are worth."""

import numpy as np
import pytest
import torch

from fusion_core.models import Cues, PromptEdit, load_model
from fusion_core.models.tcmoa.adapters import TaskAdapters
from fusion_core.models.tcmoa.config import TASKS
from fusion_lab.data.making import FocusRanges, exposure_pair, focus_pair
from fusion_lab.synthetic import SyntheticScene
from fusion_lab.training.adapting.terms import structure_of_exposures


@pytest.fixture(scope="module")
def net():
    return load_model("tcmoa")


@pytest.fixture(scope="module")
def street():
    """A sharp picture of a synthetic street, at half its size."""
    scene = SyntheticScene.from_url("synthetic://day?seed=3&seconds=1&rgb_hz=1&registered=1")
    frame = next(frame for frame in scene.frames() if frame.modality == "visible")
    return np.ascontiguousarray(frame.image[::2, ::2])


@pytest.fixture(scope="module")
def focus(street):
    clean = FocusRanges(noise=(0, 0), breathing_share=0, jpeg_share=0)
    return focus_pair(street, np.random.default_rng(4), clean)


@pytest.fixture(scope="module")
def exposures(street):
    return exposure_pair(street, np.random.default_rng(4))


def tensors(pair):
    return [
        torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
        for picture in (pair.first, pair.second)
    ]


def fuse(net, pair, task, edit=None):
    with torch.inference_mode():
        image = net(*tensors(pair), Cues(task=task, edit=edit)).image
    return (image[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)


def fidelity(fused, pair):
    """PSNR to the sharp picture, in dB."""
    wrong = np.square(fused.astype(float) - pair.target).mean()
    return 10 * np.log10(255**2 / wrong)


def structure(fused, pair):
    """Structure of MEF-SSIM of the luma."""
    lumas = [
        torch.from_numpy(p @ [0.299, 0.587, 0.114]).float()[None, None] / 255
        for p in (fused, pair.first, pair.second)
    ]
    return 1 - float(structure_of_exposures(*lumas))


def test_focus_is_chosen_better_than_blended(net, focus):
    fused = fidelity(fuse(net, focus, "mff"), focus)
    mean = ((focus.first.astype(float) + focus.second) / 2).round()
    assert fused > fidelity(mean, focus) + 2


def test_exposures_keep_more_structure_than_their_mean(net, exposures):
    mean = ((exposures.first.astype(float) + exposures.second) / 2).round().astype(np.uint8)
    assert structure(fuse(net, exposures, "mef"), exposures) > structure(mean, exposures) + 0.02


@pytest.fixture(params=["no adapters", "shuffled routers"])
def bypassed(request):
    net = load_model("tcmoa")
    with torch.no_grad():
        for layer in net.modules():
            if not isinstance(layer, TaskAdapters):
                continue
            if request.param == "no adapters":
                for expert in layer.experts:
                    expert[-1].weight.zero_()
                    expert[-1].bias.zero_()
            else:
                for routed in (layer.choose, layer.lean):
                    if routed is not None:
                        routed.copy_(routed.roll(2, -1))
    return net


def test_adapters_and_routers_are_worth_something(net, bypassed, focus, exposures):
    assert fidelity(fuse(net, focus, "mff"), focus) > fidelity(fuse(bypassed, focus, "mff"), focus)
    kept = structure(fuse(net, exposures, "mef"), exposures)
    assert kept > structure(fuse(bypassed, exposures, "mef"), exposures)


def test_another_tasks_routers_cost_quality(net, focus, exposures):
    other = PromptEdit(task_mix={"mef": 1.0})
    assert fidelity(fuse(net, focus, "mff"), focus) > fidelity(
        fuse(net, focus, "mff", other), focus
    )
    other = PromptEdit(task_mix={"mff": 1.0})
    kept = structure(fuse(net, exposures, "mef"), exposures)
    assert kept > structure(fuse(net, exposures, "mef", other), exposures)


def prompts(net, pair, task):
    with torch.inference_mode():
        return net.decide(tensors(pair), Cues(task=task)).told.prompts


@pytest.mark.parametrize("task", TASKS)
def test_prompts_add_up_to_one(net, focus, exposures, task):
    found = prompts(net, exposures if task == "mef" else focus, task)
    assert float((found.sum(-1) - 1).abs().mean()) < 0.05


def test_shares_of_focus_are_more_decided_than_those_of_exposures(net, focus, exposures):
    """The prompts as refined to pixels, at the coarsest scale, which makes the tones."""

    def decided(pair, task):
        with torch.inference_mode():
            share = net.decide(tensors(pair), Cues(task=task)).shares[-1]
        return float((share - 0.5).abs().mean())

    assert decided(focus, "mff") > 0.4 > decided(exposures, "mef")


def test_routers_differ_by_task(net, focus):
    with torch.inference_mode():
        gates = [net.decide(tensors(focus), Cues(task=task)).gates.mean((0, 1)) for task in TASKS]
    for one, other in ((0, 2), (1, 2)):
        assert float((gates[one] - gates[other]).abs().sum()) > 0.2


@pytest.mark.parametrize("task", ["mef", "mff"])
def test_beta_moves_towards_the_first_picture(net, focus, exposures, task):
    pair = focus if task == "mff" else exposures
    away = [
        np.abs(fuse(net, pair, task, PromptEdit(1.0, beta)).astype(int) - pair.first).mean()
        for beta in (-1.0, -0.5, -0.2, 0.0, 0.2, 0.5, 1.0)
    ]
    assert away == sorted(away, reverse=True)
    assert away[-1] == 0


@pytest.mark.parametrize("task", ["mef", "mff"])
def test_alpha_makes_the_choice_more_decided(net, focus, exposures, task):
    pair = tensors(focus if task == "mff" else exposures)
    with torch.inference_mode():
        spread = [
            float(
                (net.decide(pair, Cues(task=task, edit=PromptEdit(alpha))).shares[0] - 0.5)
                .abs()
                .mean()
            )
            for alpha in (0.0, 0.5, 1.0, 2.0, 5.0)
        ]
    assert spread == sorted(spread)
    assert spread[0] == 0
    assert spread[-1] > spread[2]
