"""Segmenters behind their protocol; SAM as a tiny random one of the real class."""

import copy
import dataclasses

import pytest
import tiny_models
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from fusion_core.errors import WeightsError
from fusion_core.models import Cues, load_weights, save_weights
from fusion_core.models.ctrlfuse import ROBOT, CtrlFuse, CtrlFuseOptions
from fusion_core.models.segmenters import EmbeddedSegmenter, PassThroughSegmenter, SamSegmenter


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
    found = SamSegmenter(str(tiny_sam), dim=32)(reference, reference, sparse)
    wanted = torch.nn.functional.interpolate(own, (128, 128), mode="bilinear", align_corners=False)
    assert found.shape == (2, 2, 128, 128)
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)


def test_sam_is_frozen_and_passes_gradients_to_the_prompts(tiny_sam):
    segmenter = SamSegmenter(str(tiny_sam), dim=32)
    prompts = torch.randn(1, 2, 40, 32, requires_grad=True)
    reference = torch.rand(1, 1, 60, 90, requires_grad=True)
    segmenter(reference, reference, prompts).mean().backward()
    assert float(prompts.grad.abs().max()) > 0
    assert reference.grad is None
    assert not any(p.requires_grad for p in segmenter.sam.model.parameters())


def test_absent_and_unfit_weights_of_sam_are_named(tiny_sam, tmp_path):
    pictures, prompts = torch.rand(2, 1, 1, 64, 64), torch.randn(1, 2, 40, 256)
    with pytest.raises(WeightsError, match=r"segmenter 'sam'.*nowhere.*hf download"):
        SamSegmenter(str(tmp_path / "nowhere"))(*pictures, prompts)
    with pytest.raises(WeightsError, match="takes prompts of width 32, the fusion network gives"):
        SamSegmenter(str(tiny_sam))(*pictures, prompts)


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
    assert all(float(e.queries.grad.abs().max()) > 0 for e in model.encoders)
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


@pytest.mark.parametrize("name", ["sam", "embedded"])
class TestContract:
    """What every segmenter that follows prompts does."""

    @pytest.fixture
    def segmenter(self, name, tiny_sam):
        torch.manual_seed(0)
        return SamSegmenter(str(tiny_sam), 32) if name == "sam" else EmbeddedSegmenter(32, 4, 16, 1)

    @pytest.mark.parametrize("size", [(37, 50), (96, 128)])
    def test_one_map_per_set_of_prompts_each_on_its_own(self, segmenter, size):
        pictures, prompts = torch.rand(2, 2, 1, *size), torch.randn(2, 2, 40, 32)
        found = segmenter(*pictures, prompts)
        assert found.shape == (2, 2, *size)
        assert found.dtype == torch.float32
        alone = segmenter(*pictures[:, 1:], prompts[1:, :1])
        torch.testing.assert_close(found[1:, :1], alone, atol=1e-4, rtol=1e-4)

    def test_prompts_change_the_map_and_receive_gradients(self, segmenter):
        pictures = torch.rand(2, 1, 1, 48, 64)
        prompts = torch.randn(1, 2, 40, 32, requires_grad=True)
        found = segmenter(*pictures, prompts)
        found.mean().backward()
        assert float(prompts.grad.abs().max()) > 0
        assert not torch.equal(found[:, 0], found[:, 1])

    def test_it_follows_the_network_to_another_type(self, segmenter):
        segmenter.double()
        pictures, prompts = torch.rand(2, 1, 1, 48, 64).double(), torch.randn(1, 2, 40, 32).double()
        assert torch.isfinite(segmenter(*pictures, prompts)).all()


@torch.no_grad()
@pytest.mark.parametrize("down", [1, 2])
@pytest.mark.parametrize("size", [(37, 50), (96, 128)])
def test_embedded_segmenter_gives_a_map_per_set_of_prompts(size, down):
    torch.manual_seed(0)
    segmenter = EmbeddedSegmenter(48, 4, 16, down).eval()
    pictures, prompts = torch.rand(2, 2, 1, *size), torch.randn(2, 2, 40, 48)
    found = segmenter(*pictures, prompts)
    assert found.shape == (2, 2, -(-size[0] // down), -(-size[1] // down))
    alone = segmenter(*pictures[:, 1:], prompts[1:, :1])
    torch.testing.assert_close(found[1:, :1], alone, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_at_first_the_given_mask_is_found():
    """Evidence 3 is a probability of .95; an untrained segmenter's own map is small beside it."""
    torch.manual_seed(0)
    segmenter = EmbeddedSegmenter(48, 4, 16, 2)
    reference, mask = torch.rand(2, 1, 1, 64, 64)
    mask = (mask > 0.5).float().repeat_interleave(8, 2).repeat_interleave(8, 3)[..., :64, :64]
    found = segmenter(reference, mask, torch.randn(1, 2, 40, 48)) > 0
    assert torch.equal(found[:, :1], mask[..., ::2, ::2] > 0)


def test_embedded_segmenter_learns_to_follow_its_prompts():
    """Two sets of prompts on one picture: the left square for one, the right for the other."""
    torch.manual_seed(0)
    segmenter = EmbeddedSegmenter(32, 4, 8, 1)
    picture, target = torch.rand(1, 1, 64, 64) * 0.1, torch.zeros(1, 2, 64, 64)
    target[0, 0, 16:48, 8:24] = 1
    target[0, 1, 16:48, 40:56] = 1
    picture += target.amax(1, keepdim=True) * 0.5
    prompts = torch.randn(1, 2, 8, 32)
    optimiser = torch.optim.Adam(segmenter.parameters(), 3e-3)
    for _ in range(150):
        logits = segmenter(picture, torch.zeros_like(picture), prompts)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    found = logits > 0
    overlap = (found & (target > 0)).sum((2, 3)) / (found | (target > 0)).sum((2, 3))
    assert float(overlap.min()) > 0.8


@torch.no_grad()
def test_a_mask_as_given_is_found_as_it_is():
    mask = torch.zeros(1, 1, 5, 8)
    mask[..., 2:, 4:] = 1
    logits = PassThroughSegmenter(48, 2)(mask, mask, torch.randn(1, 2, 0, 48))
    assert logits.shape == (1, 2, 3, 4)
    assert torch.equal(logits > 0, (mask[..., ::2, ::2] > 0).expand(-1, 2, -1, -1))
