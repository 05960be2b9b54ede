"""Segmenters behind their protocol; SAM as a tiny random one of the real class."""

import copy
import dataclasses

import numpy as np
import pytest
import tiny_models
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from fusion_core.errors import WeightsError
from fusion_core.models import Cues, load_weights, save_weights
from fusion_core.models.blocks import ObjectPromptEncoder, Prompts, View
from fusion_core.models.ctrlfuse import ROBOT, CtrlFuse, CtrlFuseOptions
from fusion_core.models.segmenters import ObjectSegmenter, SamSegmenter, ShapeSegmenter
from fusion_core.models.segmenters.embedded import between


def view_of(reference):
    """Return what can be seen where all pictures and features are one."""
    return View(reference, reference.expand(-1, 2, -1, -1), (reference, reference), reference)


@pytest.fixture(scope="module")
def tiny_sam(tmp_path_factory):
    return tiny_models.sam(tmp_path_factory.mktemp("sam"))


@torch.no_grad()
def test_sam_with_its_own_prompts_gives_its_own_masks(tiny_sam):
    """What SamModel makes of points is what the segmenter makes of their embeddings."""
    from transformers import SamModel

    sam = SamModel.from_pretrained(tiny_sam).eval()
    reference = torch.rand(2, 1, 128, 128)
    points = torch.tensor([[[[30.0, 40.0]], [[90.0, 20.0]]], [[[64.0, 64.0]], [[10.0, 100.0]]]])
    mean, deviation = (
        torch.tensor(values)[:, None, None]
        for values in ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
    )
    pixels = (255 * reference.expand(-1, 3, -1, -1) - mean) / deviation
    own = sam(pixel_values=pixels, input_points=points, multimask_output=False).pred_masks[:, :, 0]
    sparse, _ = sam.prompt_encoder(
        input_points=points, input_labels=torch.ones(2, 2, 1), input_boxes=None, input_masks=None
    )
    found = SamSegmenter(str(tiny_sam), dim=32)(view_of(reference), Prompts(sparse))
    wanted = torch.nn.functional.interpolate(own, (128, 128), mode="bilinear", align_corners=False)
    assert found.shape == (2, 2, 128, 128)
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)


def test_sam_is_frozen_and_passes_gradients_to_the_prompts(tiny_sam):
    segmenter = SamSegmenter(str(tiny_sam), dim=32)
    prompts = torch.randn(1, 2, 40, 32, requires_grad=True)
    reference = torch.rand(1, 1, 60, 90, requires_grad=True)
    segmenter(view_of(reference), Prompts(prompts)).mean().backward()
    assert float(prompts.grad.abs().max()) > 0
    assert reference.grad is None
    assert not any(p.requires_grad for p in segmenter.sam.model.parameters())


def test_absent_and_unfit_weights_of_sam_are_named(tiny_sam, tmp_path):
    given = view_of(torch.rand(1, 1, 64, 64)), Prompts(torch.randn(1, 2, 40, 256))
    with pytest.raises(WeightsError, match=r"segmenter 'sam'.*nowhere.*hf download"):
        SamSegmenter(str(tmp_path / "nowhere"))(*given)
    with pytest.raises(WeightsError, match="takes prompts of width 32, the fusion network gives"):
        SamSegmenter(str(tiny_sam))(*given)


def test_a_network_learns_through_sam_and_keeps_none_of_it(tiny_sam):
    config = dataclasses.replace(ROBOT, dim=32, segmenter="sam", down=1, head="tanh")
    model = CtrlFuse("ctrlfuse-full", config).train()
    model.configure(CtrlFuseOptions(gain=2.0, segmenter_weights=str(tiny_sam)))
    assert model.options.gain == 2.0
    thermal, visible = torch.rand(2, 1, 1, 64, 80)
    mask = torch.zeros_like(thermal)
    mask[..., 20:40, 30:50] = 1
    output = model.forward_luma(thermal, visible, Cues(mask=mask))
    assert output.logits.shape == (1, 2, 64, 80)
    output.logits.mean().backward()
    assert all(float(e.queries.grad.abs().max()) > 0 for e in model.encoder)
    kept = copy.deepcopy(model)
    assert kept.segmenter.sam.model is model.segmenter.sam.model
    assert not any("segmenter" in name for name in model.state_dict())
    assert not any("segmenter" in name for name, _ in model.named_parameters())


def test_a_checkpoint_names_the_sam_it_was_trained_with(tiny_sam, tmp_path):
    """Another SAM is refused, whether it was loaded before the checkpoint or is loaded after."""

    def network(weights):
        model = CtrlFuse("ctrlfuse-full", config)
        model.segmenter.weights = str(weights)
        return model

    config = dataclasses.replace(ROBOT, dim=32, segmenter="sam", down=1, head="tanh")
    path, other_sam = tmp_path / "weights.safetensors", tmp_path / "other"
    other_sam.mkdir()
    tiny_models.sam(other_sam, seed=1)
    trained = network(tiny_sam)
    _ = trained.segmenter.sam.model
    save_weights(trained, path)
    assert not any("sam" in name for name in load_file(path))

    same, late, early = network(tiny_sam), network(other_sam), network(other_sam)
    load_weights(same, path)
    assert same.segmenter.sam.model is not None
    load_weights(late, path)
    with pytest.raises(WeightsError, match=r"other' has the fingerprint .*weights.safetensors was"):
        _ = late.segmenter.sam.model
    _ = early.segmenter.sam.model
    before = {key: value.clone() for key, value in early.state_dict().items()}
    with pytest.raises(WeightsError, match=r"options\.segmenter_weights"):
        load_weights(early, path)
    assert all(torch.equal(value, before[key]) for key, value in early.state_dict().items())

    # Trained on without having loaded SAM: the checkpoint still names the first one.
    resumed = network(tiny_sam)
    load_weights(resumed, path)
    save_weights(resumed, tmp_path / "resumed.safetensors")
    with pytest.raises(WeightsError, match=r"resumed.safetensors was trained with"):
        load_weights(early, tmp_path / "resumed.safetensors")


@pytest.mark.parametrize("torn", ["{", "[]", '{"elsewhere": "12"}'])
def test_torn_fingerprints_are_refused(torn, tmp_path):
    path = tmp_path / "weights.safetensors"
    config = dataclasses.replace(ROBOT, dim=32, segmenter="sam", down=1, head="tanh")
    save_weights(CtrlFuse("ctrlfuse-full", config), path)
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    save_file(load_file(path), path, metadata | {"frozen": torn})
    with pytest.raises(WeightsError, match=r"weights.safetensors: .*(torn|'elsewhere').*train"):
        load_weights(CtrlFuse("ctrlfuse-full", config), path)


@pytest.mark.parametrize("size", [(37, 50), (96, 128)])
def test_sam_gives_one_map_per_set_of_prompts_each_on_its_own(tiny_sam, size):
    segmenter = SamSegmenter(str(tiny_sam), 32)
    reference, prompts = torch.rand(2, 1, *size), torch.randn(2, 2, 40, 32)
    found = segmenter(view_of(reference), Prompts(prompts))
    assert found.shape == (2, 2, *size)
    assert found.dtype == torch.float32
    assert not torch.equal(found[:, 0], found[:, 1])
    alone = segmenter(view_of(reference[1:]), Prompts(prompts[1:, :1]))
    torch.testing.assert_close(found[1:, :1], alone, atol=1e-4, rtol=1e-4)


def test_sam_follows_the_network_to_another_type(tiny_sam):
    segmenter = SamSegmenter(str(tiny_sam), 32).double()
    view, prompts = view_of(torch.rand(1, 1, 48, 64).double()), torch.randn(1, 2, 40, 32).double()
    assert torch.isfinite(segmenter(view, Prompts(prompts))).all()


def people_of(rng, count=2, size=64):
    """Return a view of warm bars on a cold ground, their masks, and boxes around them."""
    thermal = torch.full((1, 1, size, size), 0.2) + 0.05 * torch.rand(1, 1, size, size)
    target = torch.zeros_like(thermal)
    boxes = torch.zeros_like(thermal)
    for number in range(count):
        top, left = int(rng.integers(6, 20)), 8 + 28 * number
        target[..., top : top + 28, left + 3 : left + 7] = 1
        target[..., top + 6 : top + 12, left : left + 10] = 1
        boxes[..., top : top + 28, left : left + 10] = 1
    thermal = thermal + 0.5 * target
    visible = torch.rand(1, 1, size, size)
    pictures = torch.cat([thermal, visible], 1)
    return View(thermal, pictures, (thermal, visible), thermal), target, boxes


def test_embedded_segmenter_learns_to_find_objects_in_boxes():
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    encoder, segmenter = ObjectPromptEncoder(1, 8, 1), ObjectSegmenter(1, 2, 12)
    optimiser = torch.optim.Adam(segmenter.parameters(), 5e-3)
    for _ in range(80):
        view, target, boxes = people_of(rng)
        logits = segmenter(view, encoder(view, boxes))
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    view, target, boxes = people_of(rng)
    found = segmenter.eval()(view, encoder(view, boxes)) > 0
    given = (boxes > 0) & (target > 0)
    overlap = (found & (target > 0)).sum() / (found | (target > 0)).sum()
    assert float(overlap) > 0.8 > float(given.sum() / boxes.sum())


@torch.no_grad()
@pytest.mark.parametrize("segmenter", [ObjectSegmenter(1, 2, 6), ShapeSegmenter()])
def test_every_picture_is_segmented_by_its_own_prompts(segmenter):
    rng = np.random.default_rng(1)
    views = [people_of(rng, count) for count in (1, 2)]
    view = View(
        *(
            tuple(torch.cat(m) for m in zip(*part, strict=True))
            if isinstance(part[0], tuple)
            else torch.cat(part)
            for part in zip(*(v for v, _, _ in views), strict=True)
        )
    )
    encoder = ObjectPromptEncoder(1, 8, 1)
    both = segmenter(view, encoder(view, torch.cat([b for _, _, b in views])))
    assert both.shape == (2, 1, 64, 64)
    for number, (own, _, boxes) in enumerate(views):
        alone = segmenter(own, encoder(own, boxes))
        torch.testing.assert_close(both[number : number + 1], alone, atol=1e-4, rtol=1e-4)
    nothing = encoder(view, torch.zeros_like(view.reference))
    assert float(segmenter(view, nothing).amax()) < -5


@torch.no_grad()
def test_the_shape_that_prompts_tell_is_nearly_the_mask():
    """A shape of 24 by 16 cells, smoothed by twice resizing it."""
    view, target, _ = people_of(np.random.default_rng(2), 1)
    found = ShapeSegmenter()(view, ObjectPromptEncoder(1, 8, 1)(view, target)) > 0
    overlap = (found & (target > 0)).sum() / (found | (target > 0)).sum()
    assert float(overlap) > 0.7


def test_pictures_lie_between_surround_and_object():
    """Medians around .2 and .6; objects from .3 to .7, and from .1 to .5: by hand."""
    levels = torch.tensor(
        [[[[0.3, 0.5, 0.7], [0.1, 0.3, 0.5]], [[0.0, 0.2, 0.4], [0.5, 0.6, 0.7]]]]
    )
    pictures = torch.tensor([[[[0.2, 0.45, 0.7, 1.0]], [[0.6, 0.35, 0.1, 0.0]]]])
    wanted = torch.tensor([[[[0.0, 0.5, 1.0, 1.6]], [[0.0, 0.5, 1.0, 1.2]]]])
    torch.testing.assert_close(between(pictures, levels), wanted)
    flat = torch.full_like(levels, 0.2)
    assert float(between(pictures, flat).abs().max()) == 2  # nothing stands out: it is bounded
