"""CtrlFuse as a network: what a mask may change, and what it must not."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy import ndimage

from fusion_core.models import Cues, create_model
from fusion_core.models.blocks import GradientDenseBlock, PromptSemanticFusion, Window
from fusion_core.models.blocks.reference_prompts import (
    ReferencePromptEncoder,
    marked_on_grid,
    similarity,
    sine_position,
)
from fusion_core.models.ctrlfuse import FULL, CtrlFuse, CtrlFuseOptions, missed

# How far the decoder sees: convolutions, head and its smoothing, in pixels of the picture.
_REACH = 12


def pair(height=96, width=128, batch=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.rand(batch, 1, height, width, generator=generator) for _ in range(2))


def square(thermal, top=30, left=40, edge=24):
    mask = torch.zeros_like(thermal)
    mask[..., top : top + edge, left : left + edge] = 1
    return mask


def network(seed=0):
    """Return the robot's network with a head that shows what it is given."""
    model = create_model("ctrlfuse", seed)
    torch.manual_seed(seed)
    torch.nn.init.normal_(model.head.conv.weight, std=0.1)
    return model.eval()


def obedient(seed=0):
    """Return a network whose segmenter is overruled by the mask that is given."""
    model = network(seed)
    with torch.no_grad():
        model.segmenter.evidence.fill_(1e4)
    return model


def fuse(model, thermal, visible, mask=None):
    return model.forward_luma(thermal, visible, Cues(mask=mask))


@torch.no_grad()
def test_without_a_mask_and_with_an_empty_one_the_result_is_the_reference_bit_by_bit():
    model = network()
    thermal, visible = pair()
    plain = fuse(model, thermal, visible)
    empty = fuse(model, thermal, visible, torch.zeros_like(thermal))
    marked = fuse(model, thermal, visible, square(thermal))
    assert torch.equal(plain.fused, empty.fused)
    assert torch.equal(plain.fused, marked.reference)
    assert plain.logits is None
    assert empty.logits is None


@torch.no_grad()
@pytest.mark.parametrize("training", [False, True])
def test_an_empty_mask_in_a_batch_changes_nothing_in_its_picture(training):
    model = obedient().train(training)
    thermal, visible = pair(batch=2)
    mask = square(thermal)
    mask[1] = 0
    output = fuse(model, thermal, visible, mask)
    assert torch.equal(output.fused[1], output.reference[1])
    assert not torch.equal(output.fused[0], output.reference[0])


@torch.no_grad()
def test_a_mask_changes_the_picture_inside_only():
    model = obedient()
    thermal, visible = pair()
    mask = square(thermal)
    output = fuse(model, thermal, visible, mask)
    change = (output.fused - output.reference).abs()[0, 0].numpy()
    near = ndimage.maximum_filter(mask[0, 0].numpy(), 2 * _REACH + 1) > 0
    assert change[~near].max() == 0
    assert change[mask[0, 0].numpy() > 0].mean() > 1e-3


@torch.no_grad()
def test_what_the_segmenter_does_not_know_counts_as_marked():
    """Of two marked squares one is found in part, the other not at all."""
    marked = torch.zeros(1, 1, 240, 320)
    marked[..., 40:80, 40:80] = 1
    marked[..., 160:200, 240:280] = 1
    found = torch.zeros(1, 2, 240, 320)
    found[..., 40:80, 40:60] = 1
    told = missed(found, marked)
    assert float(told[..., :120, :160].sum()) == 0
    assert torch.equal(told[..., 120:, 160:], marked[..., 120:, 160:].expand(-1, 2, -1, -1))
    stubborn = network()
    stubborn.segmenter.hyper[-1].bias[-1] = -1e4
    thermal, visible = pair()
    output = fuse(stubborn, thermal, visible, square(thermal))
    assert float(output.logits.amax()) < 0
    assert not torch.equal(output.fused, output.reference)


@torch.no_grad()
def test_gain_scales_what_the_prompts_add():
    model = obedient()
    thermal, visible = pair()
    mask = square(thermal)
    changes = []
    for gain in (0.0, 1.0, 3.0):
        model.configure(CtrlFuseOptions(gain=gain))
        output = fuse(model, thermal, visible, mask)
        changes.append(float((output.fused - output.reference).abs().mean()))
    assert changes[0] == 0
    assert changes[0] < changes[1] < changes[2]


@torch.no_grad()
@pytest.mark.parametrize("size", [(33, 47), (96, 128), (17, 130)])
def test_pictures_of_any_size(size):
    thermal, visible = pair(*size)
    output = fuse(network(), thermal, visible, square(thermal, 4, 4, 8))
    assert output.fused.shape == thermal.shape
    assert output.logits.shape == (1, 2, -(-size[0] // 2), -(-size[1] // 2))
    assert output.fused.isfinite().all()


def test_the_fused_picture_teaches_the_prompts_through_the_soft_mask():
    model = network().train()
    thermal, visible = pair()
    fuse(model, thermal, visible, square(thermal)).fused.mean().backward()
    for part in (model.encoders, model.segmenter, model.prompted):
        assert all(parameter.grad is not None for parameter in part.parameters())
        assert any(float(parameter.grad.abs().max()) > 0 for parameter in part.parameters())


def test_segmentation_does_not_pull_at_the_reference_fusion():
    model = network().train()
    thermal, visible = pair()
    fuse(model, thermal, visible, square(thermal)).logits.mean().backward()
    assert all(parameter.grad is None for parameter in model.decoder.parameters())


def test_the_published_setting_has_the_published_size():
    """6.25 million trainable parameters, counted in the public code, whose stride is 2."""
    model = CtrlFuse("ctrlfuse-full", dataclasses.replace(FULL, stride=2))
    assert model.parameter_count() == pytest.approx(6.25e6, rel=0.02)
    assert model.encoders[0].queries.shape == (40, 256)


@torch.no_grad()
def test_the_sobel_path_starts_as_sobel():
    """scipy.ndimage.sobel is the reference; the kernels here are an eighth of its."""
    picture = np.random.default_rng(0).random((20, 24))
    block = GradientDenseBlock(1, 1)
    for part in (block.merge, block.edges):
        torch.nn.init.zeros_(part.weight)
    block.merge.bias.zero_()
    block.edges.weight.fill_(1)
    found = block(torch.from_numpy(picture).float()[None, None])[0, 0].numpy()
    wanted = sum(np.abs(ndimage.sobel(picture, axis)) for axis in (0, 1)) / 8
    np.testing.assert_allclose(found[1:-1, 1:-1], wanted[1:-1, 1:-1], atol=1e-6)


def test_similarity_is_the_largest_cosine_to_a_marked_cell():
    source = torch.zeros(1, 2, 2, 2)
    source[0, :, 0, 0] = torch.tensor([1.0, 0.0])
    source[0, :, 0, 1] = torch.tensor([0.0, 2.0])
    source[0, :, 1, 1] = torch.tensor([-1.0, 0.0])
    fused = torch.zeros(1, 2, 1, 2)
    fused[0, :, 0, 0] = torch.tensor([3.0, 4.0])
    fused[0, :, 0, 1] = torch.tensor([-1.0, 0.0])
    mask = torch.tensor([[[[1.0, 1.0], [0.0, 0.0]]]])
    torch.testing.assert_close(
        similarity(source, fused, mask), torch.tensor([[[[0.8, 0.0]]]]), atol=1e-6, rtol=0
    )
    assert float(similarity(source, fused, torch.zeros_like(mask)).abs().max()) == 0


def test_similarity_to_few_marked_cells_is_exact():
    torch.manual_seed(0)
    source, fused = torch.randn(1, 4, 12, 12), torch.randn(1, 4, 12, 12)
    mask = torch.zeros(1, 1, 12, 12)
    cells = torch.randperm(144)[:60]
    mask.view(-1)[cells] = 1
    known = torch.nn.functional.normalize(source.flatten(2)[0], dim=0)[:, cells]
    wanted = (known.T @ torch.nn.functional.normalize(fused.flatten(2)[0], dim=0)).amax(0)
    torch.testing.assert_close(similarity(source, fused, mask).flatten(), wanted)


@torch.no_grad()
def test_prompts_tell_a_small_object_and_its_place():
    torch.manual_seed(0)
    encoder = ReferencePromptEncoder(8, 32, 4, 40, 64)
    maps = torch.randn(1, 8, 64, 64)
    prompts = []
    for left in (20, 500):
        mask = torch.zeros(1, 1, 480, 640)
        mask[..., 100:104, left : left + 3] = 1
        prompts.append(encoder(maps, maps, marked_on_grid(mask, 64)))
    nothing = encoder(maps, maps, torch.zeros(1, 1, 64, 64))
    assert prompts[0].shape == (1, 40, 32)
    assert not torch.allclose(prompts[0], nothing, atol=1e-4)
    assert not torch.allclose(prompts[0], prompts[1], atol=1e-4)


def test_positions_differ_from_cell_to_cell():
    position = sine_position(48, 64, 48)
    nearest = (position @ position.T - 2 * 24 * torch.eye(48 * 64)).amax()
    assert position.shape == (48 * 64, 48)
    assert float(nearest) < 23.9


def test_tokens_are_the_convolution_of_maps_their_mean_and_the_mask():
    torch.manual_seed(0)
    encoder = ReferencePromptEncoder(8, 32, 4, 40, 16)
    maps, mean, mask = torch.randn(2, 8, 16, 16), torch.randn(2, 8), torch.rand(2, 1, 16, 16)
    laid_out = mean[..., None, None].expand_as(maps)
    wanted = encoder.embed(torch.cat([maps, laid_out, 10 * mask], 1)).relu()
    wanted = wanted.flatten(2).transpose(1, 2) + sine_position(16, 16, 32)
    torch.testing.assert_close(encoder._tokens(maps, mean, mask), wanted)


@torch.no_grad()
def test_prompts_act_inside_the_mask_only():
    torch.manual_seed(0)
    module = PromptSemanticFusion(16, 32, 8, 8)
    maps, prompts = torch.randn(1, 16, 37, 50), torch.randn(1, 40, 32)
    mask = torch.zeros(1, 1, 37, 50)
    mask[..., 10:20, 10:20] = 1
    whole = Window(0, 37, 0, 50)
    out = module(maps, prompts, mask, whole)
    assert out.shape == maps.shape
    assert float((out * (1 - mask)).abs().max()) == 0
    assert not torch.allclose(out, module(maps, prompts + 1, mask, whole))
    for window in (Window(8, 21, 8, 30), Window(0, 37, 24, 50), Window(32, 37, 0, 9)):
        part = module(maps, prompts, mask, window)
        torch.testing.assert_close(part, window.of(out), atol=1e-5, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize(
    "corners",
    [[(40, 50)], [(0, 0)], [(76, 100)], [(10, 10), (60, 90)]],
    ids=["middle", "first corner", "last corner", "two"],
)
@pytest.mark.parametrize("size", [(96, 128), (97, 131)])
def test_decoding_a_window_is_decoding_the_whole(corners, size):
    model = obedient()
    thermal, visible = pair(*size)
    mask = torch.zeros_like(thermal)
    for top, left in corners:
        mask += square(thermal, top, left, 20)
    quick = fuse(model, thermal, visible, mask)
    model._changed = lambda inside: Window(0, inside.shape[-2], 0, inside.shape[-1])
    whole = fuse(model, thermal, visible, mask)
    torch.testing.assert_close(quick.fused, whole.fused, atol=1e-5, rtol=0)
    assert not torch.equal(quick.fused, quick.reference)
