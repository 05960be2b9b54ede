import math

import cv2
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fusion_core.models.blocks import (
    BlendHead,
    ChannelModulation,
    CrossAttention,
    DenseEncoder,
    GraphAttention,
    PadToMultiple,
    channel_means,
    channel_moments,
    convolve_mapped,
    runs_alone,
)
from fusion_core.models.blocks.heads import shuffle, smooth


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def close(a, b, tolerance=1e-5):
    assert a.shape == b.shape
    assert (a - b).abs().max() < tolerance


# Cross-attention


def test_cross_attention_equals_torch_multihead_attention():
    ours, torch_own = CrossAttention(24, 4), nn.MultiheadAttention(24, 4, batch_first=True)
    with torch.no_grad():
        layers = (ours.query, ours.key, ours.value)
        torch_own.in_proj_weight.copy_(torch.cat([layer.weight for layer in layers]))
        torch_own.in_proj_bias.copy_(torch.cat([layer.bias for layer in layers]))
        torch_own.out_proj.load_state_dict(ours.out.state_dict())
    query, context = torch.randn(2, 3, 24), torch.randn(2, 5, 24)
    mask = torch.tensor([[1, 1, 1, 0, 0], [1, 0, 1, 1, 1]]).bool()
    # torch marks with True what must *not* be read.
    expected, _ = torch_own(query, context, context, key_padding_mask=~mask)
    close(ours(query, context, mask), expected)
    expected, _ = torch_own(query, context, context)
    close(ours(query, context), expected)


def test_cross_attention_with_zero_keys_is_the_mean_of_the_values():
    """Equal scores make the softmax uniform."""
    block = CrossAttention(8, 2)
    nn.init.zeros_(block.key.weight)
    nn.init.zeros_(block.key.bias)
    context = torch.randn(1, 7, 8)
    expected = block.out(block.value(context).mean(1, keepdim=True))
    close(block(torch.randn(1, 1, 8), context), expected)


def test_masked_tokens_have_no_influence():
    block = CrossAttention(8, 2)
    query, context = torch.randn(1, 2, 8), torch.randn(1, 4, 8)
    mask = torch.tensor([[True, True, False, False]])
    other = context.clone()
    other[:, 2:] = 100
    close(block(query, context, mask), block(query, other, mask))
    close(block(query, context, mask), block(query, context[:, :2]))


# Graph attention


def graph_by_loops(block, nodes):
    """M2PN eq. 1 element by element, in numpy."""
    q, k, v = (
        (nodes @ layer.weight.T).detach().numpy().astype(np.float64)
        for layer in (block.query, block.key, block.value)
    )
    w = block.score.detach().numpy().astype(np.float64)
    batch, count, dim = q.shape
    depth = dim // block.heads
    read = np.zeros_like(q)
    for b in range(batch):
        for h in range(block.heads):
            part = slice(h * depth, (h + 1) * depth)
            for i in range(count):
                scores = []
                for j in range(count):
                    pair = np.concatenate([q[b, i, part], k[b, j, part]])
                    score = float(pair @ np.concatenate([w[0, h], w[1, h]]))
                    scores.append((score if score > 0 else 0.2 * score) / math.sqrt(depth))
                weights = np.exp(scores) / np.exp(scores).sum()
                for j in range(count):
                    read[b, i, part] += weights[j] * v[b, j, part]
    out = read @ block.out.weight.detach().numpy().T + block.out.bias.detach().numpy()
    total = nodes.numpy() + out
    mean, std = total.mean(-1, keepdims=True), total.std(-1, keepdims=True)
    return torch.from_numpy((total - mean) / np.sqrt(std**2 + block.norm.eps)).float()


def test_graph_attention_equals_the_equation_written_as_loops():
    block = GraphAttention(12, 3)
    nn.init.normal_(block.score)
    nodes = torch.randn(2, 3, 12)
    close(block(nodes), graph_by_loops(block, nodes))


def test_graph_attention_weights_depend_on_the_reading_node():
    """By hand, nodes (1, 0) and (-1, 0), all projections identity, w = (1, 0, 1, 0).

    The first node scores (2, 0), the second LeakyReLU(0, -2) = (0, -0.4), both over sqrt(2).
    Without a nonlinearity on the score, the softmax would cancel the reader's part of it.
    """
    block = GraphAttention(2, 1)
    block.norm = nn.Identity()
    with torch.no_grad():
        block.score.copy_(torch.tensor([[[1.0, 0.0]], [[1.0, 0.0]]]))
        for layer in (block.query, block.key, block.value, block.out):
            nn.init.eye_(layer.weight)
        block.out.bias.zero_()
        nodes = torch.tensor([[[1.0, 0.0], [-1.0, 0.0]]])
        read = (block(nodes) - nodes)[0, :, 0]
    first = 1 / (1 + math.exp(-2 / math.sqrt(2)))
    second = 1 / (1 + math.exp(-0.4 / math.sqrt(2)))
    assert read.tolist() == pytest.approx([2 * first - 1, 2 * second - 1], abs=1e-6)


def test_graph_attention_follows_a_reordering_of_its_nodes():
    block = GraphAttention(8, 2)
    nodes = torch.randn(2, 3, 8)
    order = [2, 0, 1]
    close(block(nodes[:, order]), block(nodes)[:, order])


# Channel modulation


@pytest.mark.parametrize("residual", [False, True])
def test_modulation_is_instance_norm_then_scale_and_shift(residual):
    block = ChannelModulation(6, 5, residual=residual)
    nn.init.normal_(block.affine.weight)
    nn.init.normal_(block.affine.bias)
    x, cond = torch.randn(3, 5, 9, 11) * 2 + 1, torch.randn(3, 6)
    gamma, beta = block.affine(cond)[:, :, None, None].chunk(2, 1)
    expected = (1 + gamma) * F.instance_norm(x, eps=1e-5) + beta
    close(block(x, cond), expected + x if residual else expected, 1e-4)


def test_modulation_starts_as_plain_instance_norm():
    x = torch.randn(2, 4, 8, 8)
    close(ChannelModulation(3, 4)(x, torch.randn(2, 3)), F.instance_norm(x), 1e-5)


def test_modulation_of_a_constant_map_is_finite():
    assert ChannelModulation(3, 4)(torch.full((1, 4, 8, 8), 7.0), torch.randn(1, 3)).abs().max() < 1


# Moments of channels, and an affine map inside a convolution


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_moments_are_those_of_numpy_in_one_pass_and_in_two(layout, precision):
    x = (torch.randn(1, 6, 31, 17) * 3 + 20).to(precision, memory_format=layout)
    pixels = x.float().double().numpy()
    mean, variance = pixels.mean((2, 3)), pixels.var((2, 3))
    with torch.inference_mode():
        assert runs_alone(x)
        alone = channel_moments(x)
    assert not runs_alone(x)
    for found in (alone, channel_moments(x)):
        assert found[0].dtype == found[1].dtype == torch.float32
        np.testing.assert_allclose(found[0], mean, rtol=1e-5)
        np.testing.assert_allclose(found[1], variance, rtol=1e-3)
    with torch.inference_mode():
        np.testing.assert_allclose(channel_means(x), mean, rtol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 5), (4, 1), (2, 3), (7, 9)])
def test_an_affine_map_inside_a_convolution_is_that_before_it(height, width):
    """The border as well: a convolution pads what was shifted with zeros."""
    conv = nn.Conv2d(3, 4, 3, padding=1)
    x, scale, shift = torch.randn(1, 3, height, width), torch.randn(3), torch.randn(3) + 2
    with torch.inference_mode():
        mapped = scale[:, None, None] * x + shift[:, None, None]
        close(convolve_mapped(x, scale, shift, conv), conv(mapped))


# Padding


@pytest.mark.parametrize(("height", "width"), [(8, 12), (7, 9), (5, 12), (4, 10)])
def test_padding_mirrors_on_the_right_and_bottom_only(height, width):
    x = torch.randn(1, 2, height, width)
    padded = PadToMultiple(4)(x).numpy()
    expected = np.pad(
        x.numpy(), ((0, 0), (0, 0), (0, -height % 4), (0, -width % 4)), mode="reflect"
    )
    assert np.array_equal(padded, expected)


def test_padding_repeats_the_border_of_tiny_images():
    padded = PadToMultiple(4)(torch.tensor([[[[1.0, 2.0]]]]))
    assert padded[0, 0].tolist() == [[1, 2, 2, 2]] * 4


# Encoder


def test_dense_encoder_feeds_every_layer_all_earlier_outputs():
    """Channels in of the four layers as published: 1, 16, 32, 48."""
    encoder = DenseEncoder(1, 16, 4)
    assert [conv.in_channels for conv in encoder.convs] == [1, 16, 32, 48]
    x = torch.randn(1, 1, 10, 10)
    outputs = encoder(x)
    assert [tuple(out.shape) for out in outputs] == [(1, 16, 10, 10)] * 4
    third = torch.relu(encoder.convs[2](torch.cat(outputs[:2], 1)))
    close(outputs[2], third)


# Heads


def test_convention_shuffle_puts_the_phases_where_pixel_shuffle_does():
    x = torch.randn(2, 12, 3, 5)
    assert torch.equal(shuffle(x, 2), F.pixel_shuffle(x, 2))
    assert torch.equal(shuffle(F.pixel_unshuffle(x, 1), 1), x)


def test_smooth_equals_the_binomial_kernel_in_opencv():
    image = torch.rand(9, 13)
    kernel = np.array([0.25, 0.5, 0.25])
    expected = cv2.sepFilter2D(image.numpy(), -1, kernel, kernel, borderType=cv2.BORDER_REPLICATE)
    close(smooth(image[None, None])[0, 0], torch.from_numpy(expected), 1e-6)


def test_smooth_removes_the_grid_of_a_shuffle_by_two():
    checkers = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(6, 6)[None, None]
    columns = torch.tensor([[1.0, -1.0], [1.0, -1.0]]).repeat(6, 6)[None, None]
    for grid in (checkers, columns):
        assert smooth(grid)[..., 1:-1, 1:-1].abs().max() < 1e-6


def test_untrained_blend_head_returns_the_mean_of_the_sources():
    thermal, visible = torch.rand(2, 1, 1, 8, 12).unbind(0)
    fused = BlendHead(5, 2)(torch.randn(1, 5, 4, 6), thermal, visible)
    close(fused, (thermal + visible) / 2, 1e-6)


def test_blend_head_by_hand_with_constant_maps():
    """Weight 0.75, gain 0.5 on the thermal detail, no visible gain, rest 0.5 * tanh(0.1)."""
    head = BlendHead(3, 2)
    logits = (math.log(3), math.atanh(0.5), 0.0, 0.1)
    with torch.no_grad():
        head.conv.bias.copy_(torch.tensor(logits).repeat_interleave(4))
    thermal, visible = torch.rand(2, 1, 1, 6, 6).unbind(0)
    thermal, visible = 0.3 + 0.2 * thermal, 0.3 + 0.2 * visible
    fused = head(torch.randn(1, 3, 3, 3), thermal, visible)
    detail = thermal - smooth(thermal)
    expected = 0.75 * thermal + 0.25 * visible + 0.5 * detail + 0.5 * math.tanh(0.1)
    close(fused, expected, 1e-5)


@pytest.mark.parametrize("down", [1, 2])
def test_blend_head_of_two_levels_adds_on_half_the_resolution(down):
    """Gain 0.5 on the finest thermal, -0.25 on the halved visible detail, rest 0.5 * tanh(0.1)."""
    head = BlendHead(3, down, levels=2)
    fine = torch.tensor([0, math.atanh(0.5), 0]).repeat_interleave(down * down)
    with torch.no_grad():
        head.conv.bias.copy_(torch.cat([fine, torch.tensor([0, math.atanh(-0.25), 0.1])]))
    thermal, visible = (0.3 + 0.2 * torch.rand(2, 1, 1, 8, 12)).unbind(0)
    fused = head(torch.randn(1, 3, 8 // down, 12 // down), thermal, visible)
    finest = thermal - smooth(thermal)
    half = visible.unflatten(3, (6, 2)).unflatten(2, (4, 2)).mean((3, 5))
    added = cv2.resize((half - smooth(half))[0, 0].numpy(), (12, 8))
    expected = (thermal + visible) / 2 + 0.5 * finest - 0.25 * torch.from_numpy(added)
    close(fused, expected + 0.5 * math.tanh(0.1), 1e-5)


@pytest.mark.parametrize("down", [1, 2])
@pytest.mark.parametrize("levels", [1, 2])
def test_the_head_stays_in_range_whatever_the_features(down, levels):
    head = BlendHead(5, down, levels)
    nn.init.normal_(head.conv.weight)
    thermal, visible = torch.rand(2, 1, 1, 4 * down, 6 * down).unbind(0)
    fused = head(torch.randn(1, 5, 4, 6) * 100, thermal, visible)
    assert fused.min() >= 0
    assert fused.max() <= 1
