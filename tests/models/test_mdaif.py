import dataclasses

import numpy as np
import pytest
import torch

from fusion_core.errors import UsageError
from fusion_core.models import Cues, create_model
from fusion_core.models.blocks import (
    ExpertMixture,
    MiTConfig,
    MiTEncoder,
    PromptedScene,
    Prototypes,
    SceneGuidance,
)
from fusion_core.models.blocks.medians import narrow_parts
from fusion_core.models.blocks.routing import NoisyTopK, squared_variation
from fusion_core.models.mdaif import MdaIF, MdaIFConfig

TINY = MdaIFConfig(
    widths=(8, 8, 16, 16),
    depths=(1, 1, 1, 1),
    heads=(1, 1, 2, 2),
    ratio=2,
    prior=12,
    dim=16,
    queries=3,
    stem=8,
    down=2,
    decoder=(16, 16, 8, 8),
    blocks=1,
)


def trained_alike(config=TINY, seed=0):
    """A network whose zero-initialised layers are not zero, as after training."""
    torch.manual_seed(seed)
    model = MdaIF("test", config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad and not parameter.any():
                parameter.normal_(std=0.1)
    return model.eval()


def pair(height, width, batch=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    thermal, visible, blue, red = torch.rand(4, batch, 1, height, width, generator=generator)
    tokens = torch.rand(batch, 5, TINY.prior, generator=generator)
    return thermal, visible, Cues(torch.cat((blue, red), 1), tokens)


@pytest.mark.parametrize("medians", [(), (1, 3)])
@pytest.mark.parametrize("down", [1, 2])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 3), (33, 70)])
def test_every_size_comes_back_in_range(down, medians, height, width):
    model = trained_alike(dataclasses.replace(TINY, down=down, medians=medians))
    thermal, visible, cues = pair(height, width, batch=2)
    with torch.inference_mode():
        output = model.forward_luma(thermal, visible, cues)
    assert output.fused.shape == (2, 1, height, width)
    assert output.chroma.shape == (2, 2, height, width)
    for picture in (output.fused, output.chroma):
        assert picture.isfinite().all()
        assert picture.min() >= 0
        assert picture.max() <= 1


def test_untrained_network_returns_the_mean_of_the_sources_and_their_chroma():
    model = create_model("mdaif", seed=0).eval()
    thermal, visible, cues = pair(40, 50)
    with torch.inference_mode():
        output = model.forward_luma(thermal, visible, Cues(cues.chroma))
    torch.testing.assert_close(output.fused, (thermal + visible) / 2)
    torch.testing.assert_close(output.chroma, cues.chroma)


def test_same_inputs_give_the_same_bits_and_training_noise_does_not():
    model = trained_alike()
    thermal, visible, cues = pair(32, 32)
    with torch.inference_mode():
        first, second = (model.forward_luma(thermal, visible, cues).fused for _ in range(2))
        assert torch.equal(first, second)
        model.train()
        torch.manual_seed(1)
        first, second = (model.forward_luma(thermal, visible, cues).fused for _ in range(2))
    assert not torch.equal(first, second)


def test_works_without_a_prior_and_the_prior_changes_the_result():
    model = trained_alike()
    thermal, visible, cues = pair(32, 48)
    with torch.inference_mode():
        told = model.forward_luma(thermal, visible, cues).fused
        untold = model.forward_luma(thermal, visible, Cues(cues.chroma)).fused
    assert untold.isfinite().all()
    assert (told - untold).abs().max() > 1e-4


def test_prior_of_another_width_is_refused_with_both_widths():
    model = trained_alike()
    thermal, visible, cues = pair(32, 32)
    with pytest.raises(UsageError, match="width 2560, made for 12"):
        model.forward_luma(thermal, visible, Cues(cues.chroma, torch.zeros(1, 40, 2560)))


def test_network_fits_the_width_of_the_language_models_tokens():
    """BLIP-2 (OPT 2.7B): 32 image tokens and the question's, 2560 wide."""
    model = trained_alike(dataclasses.replace(TINY, prior=2560))
    thermal, visible, cues = pair(32, 32)
    output = model.forward_luma(thermal, visible, Cues(cues.chroma, torch.randn(1, 40, 2560)))
    assert output.fused.isfinite().all()


def test_gradients_reach_the_prior_and_every_parameter():
    """With all experts at work: one that nobody chose learns nothing from that step."""
    model = trained_alike(dataclasses.replace(TINY, chosen=4)).train()
    thermal, visible, cues = pair(32, 32, batch=4)
    tokens = cues.tokens.clone().requires_grad_()
    torch.manual_seed(0)
    made = model.restore(thermal, visible, Cues(cues.chroma, tokens))
    (made.fused.square().sum() + made.balance + model.orthonormality()).backward()
    assert tokens.grad.abs().sum() > 0
    missing = {n.partition(".")[0] for n, p in model.named_parameters() if p.grad is None}
    assert missing == {"fusion"}  # it has learned already, from clean pictures


def test_paper_size_is_a_mit_b1_per_source():
    """As many parameters as transformers' SegFormer in the setting of MiT-B1, 13.1 M."""
    transformers = pytest.importorskip("transformers")
    setting = transformers.SegformerConfig(
        depths=[2, 2, 2, 2],
        hidden_sizes=[64, 128, 320, 512],
        num_attention_heads=[1, 2, 5, 8],
        sr_ratios=[8, 4, 2, 1],
        mlp_ratios=[4, 4, 4, 4],
    )
    expected = transformers.SegformerModel(setting).num_parameters()
    encoder = MiTEncoder(3, MiTConfig())
    assert sum(parameter.numel() for parameter in encoder.parameters()) == expected


def test_encoder_halves_the_grid_four_times_from_a_quarter():
    encoder = MiTEncoder(3, MiTConfig(TINY.widths, TINY.depths, TINY.heads, ratio=2))
    shapes = [tuple(f.shape) for f in encoder(torch.rand(1, 3, 64, 96))]
    assert shapes == [(1, 8, 16, 24), (1, 8, 8, 12), (1, 16, 4, 6), (1, 16, 2, 3)]


def test_prototypes_start_orthonormal():
    for block in create_model("mdaif", seed=0).prototypes:
        assert float(block.orthonormality().detach()) < 1e-9
    assert float(Prototypes(32, 8, 3, orthonormal=False).orthonormality().detach()) > 0.01


def test_prototypes_of_minus_infinity_leave_the_features_alone():
    """models.md: DCAM is the identity in the limit of rows of minus infinity."""
    block = Prototypes(16, 8, 3)
    with torch.no_grad():
        block.rows.fill_(-1e4)
    x = torch.randn(2, 16, 5, 7)
    weighed, activation = block(x, torch.randn(2, 8))
    torch.testing.assert_close(weighed, x)
    assert ((activation > 0) & (activation < 1)).all()


def test_prototypes_of_plus_infinity_add_the_normed_features():
    block = Prototypes(16, 8, 3)
    with torch.no_grad():
        block.rows.fill_(1e4)
    x = torch.randn(2, 16, 5, 7)
    by_pixel = (x - x.mean(1, keepdim=True)) / (
        x.var(1, unbiased=False, keepdim=True) + 1e-5
    ).sqrt()
    torch.testing.assert_close(block(x, torch.randn(2, 8))[0], x + by_pixel, rtol=1e-4, atol=1e-4)


def test_squared_variation_by_hand():
    """Loads 3, 1, 2, 2: mean 2, variance 0.5, so 0.5 / 4; all on one of four: 3."""
    assert float(squared_variation(torch.tensor([3.0, 1.0, 2.0, 2.0]))) == pytest.approx(0.125)
    assert float(squared_variation(torch.tensor([0.0, 8.0, 0.0, 0.0]))) == pytest.approx(3.0)
    assert float(squared_variation(torch.full((4,), 5.0))) == 0


def test_gates_sum_to_one_over_the_two_best():
    """Softmax over 2 and 1: e / (e + 1) = 0.731059 and the rest."""
    gate = NoisyTopK(2, 4).eval()
    logits = torch.tensor([[1.0, -3.0, 2.0, 0.0]])
    gates, _ = gate(logits, torch.zeros_like(logits))
    torch.testing.assert_close(gates, torch.tensor([[0.268941, 0.0, 0.731059, 0.0]]))
    many, _ = gate.train()(torch.randn(64, 4), torch.zeros(64, 4))
    torch.testing.assert_close(many.sum(1), torch.ones(64))
    assert ((many > 0).sum(1) == 2).all()


def test_balance_falls_when_the_experts_share_the_work():
    gate = NoisyTopK(1, 4).eval()
    even = 9 * torch.eye(4)
    uneven = even[[0, 0, 0, 0]]
    assert float(gate(even, torch.zeros(4, 4)).balance) < 0.01
    # One of four does all: cv^2 is 3 by importance and 3 by load.
    assert float(gate(uneven, torch.zeros(4, 4)).balance) == pytest.approx(6, abs=0.05)


def test_expert_that_lags_behind_by_a_constant_is_still_chosen():
    """Logits 0.05 apart between pictures, one expert 1.0 behind: it never led, it shall half lead.

    Of four alike two are chosen, each for half of the pictures.
    """
    torch.manual_seed(0)
    gate = NoisyTopK(2, 4)
    behind = torch.tensor([0.0, 0.0, 0.0, -1.0])
    for _ in range(300):
        gate(behind + 0.05 * torch.randn(5, 4), torch.full((5, 4), -3.0))
    gate.eval()
    gates, _ = gate(behind + 0.05 * torch.randn(2000, 4), torch.zeros(2000, 4))
    chosen = (gates > 0).float().mean(0)
    torch.testing.assert_close(chosen, torch.full((4,), 0.5), atol=0.1, rtol=0)


@pytest.mark.parametrize("per_pixel", [False, True])
def test_mixture_is_the_gated_sum_of_all_experts(per_pixel):
    torch.manual_seed(0)
    block = ExpertMixture(8, 5, 16, experts=4, chosen=2, blocks=1, per_pixel=per_pixel).eval()
    weather = torch.randn(3, 16)
    for expert in block.experts:
        torch.nn.init.normal_(expert.head.weight)
    x = torch.randn(3, 8, 6, 6)
    out, routing = block(x, weather)
    gates = routing.gates if per_pixel else routing.gates[:, :, None, None]
    assert routing.gates.shape == ((3, 4, 6, 6) if per_pixel else (3, 4))
    torch.testing.assert_close(gates.sum(1), torch.ones_like(gates[:, 0]))
    dense = sum(gates[:, i : i + 1] * e(x) for i, e in enumerate(block.experts))
    assert dense.abs().mean() > 0.1
    torch.testing.assert_close(out, dense)


def test_scene_hides_the_prior_from_a_share_of_the_training_pictures():
    torch.manual_seed(0)
    block = PromptedScene(12, 16, 3, dropout=0.5).train()
    tokens = torch.randn(1, 5, 12).expand(400, -1, -1)
    whole = block(tokens, 400).whole
    hidden = (whole - block(None, 1).whole).abs().amax(1) < 1e-5
    assert 0.4 < float(hidden.float().mean()) < 0.6
    assert (block.eval()(tokens, 400).whole - whole[~hidden][0]).abs().max() < 1e-5


def test_guidance_reads_the_scene_and_leaves_the_weather_to_prototypes_and_routers():
    torch.manual_seed(0)
    block = SceneGuidance(8, 16)
    for reader in (block.visible, block.thermal):
        torch.nn.init.normal_(reader.out.weight)
    scene = PromptedScene(12, 16, 3, 0.0)(torch.randn(1, 5, 12), 1)
    x = torch.randn(1, 16, 4, 4)
    guided = block(x, scene)
    assert torch.equal(block(x, scene._replace(weather=scene.weather + 1)), guided)
    change = (block(x, scene._replace(scene=2 * scene.scene)) - guided).abs()
    assert change[:, :8].max() > 1e-3
    assert change[:, 8:].max() > 1e-3


def test_one_active_prototype_opens_some_channels_and_shuts_others():
    """Without the scale rows of norm 1 over 64 channels weigh all of them by 0.4 to 0.6."""
    torch.manual_seed(0)
    block = Prototypes(64, 8, 3)
    x = torch.randn(1, 64, 4, 4)
    with torch.no_grad():
        block.strength[-1].bias.copy_(torch.tensor([9.0, -9.0, -9.0]))
        weight = (block(x, torch.zeros(1, 8))[0] - x) / block.norm(x)
    assert weight.quantile(0.1) < 0.2
    assert weight.quantile(0.9) > 0.8


def test_experts_restore_before_the_frozen_network_fuses():
    """An offset of 0.1 in the luma and -0.2 in Cb, by the experts alone, of grey pictures."""
    model = MdaIF("test", TINY).eval()
    with torch.no_grad():
        for expert in model.experts.experts:
            expert.head.bias.view(4, 4)[1:3] = torch.tensor([[0.1], [-0.2]])
    thermal, visible = torch.full((1, 1, 32, 32), 0.3), torch.full((1, 1, 32, 32), 0.5)
    with torch.no_grad():
        made = model.restore(thermal, visible, Cues(torch.full((1, 2, 32, 32), 0.5)))
        expected = model.fusion.forward_luma(thermal, visible + 0.1).fused
    torch.testing.assert_close(made.visible, visible + 0.1)
    torch.testing.assert_close(made.fused[:, :1], expected)
    torch.testing.assert_close(made.fused[:, 1], torch.full((1, 32, 32), 0.3))


@pytest.mark.parametrize("spacings", [(1,), (3,), (1, 3)])
def test_narrow_parts_are_what_numpys_medians_along_the_rows_leave(spacings):
    planes = torch.rand(2, 1, 4, 9, generator=torch.Generator().manual_seed(3))
    expected = []
    for spacing in spacings:
        wide = np.pad(planes.numpy(), ((0, 0),) * 3 + ((2 * spacing,) * 2,), mode="edge")
        samples = [wide[..., step * spacing : step * spacing + 9] for step in range(5)]
        expected.append(planes - torch.from_numpy(np.median(samples, 0)))
    torch.testing.assert_close(narrow_parts(planes, spacings), torch.cat(expected, 1))


def test_experts_take_a_streak_away_and_leave_an_edge():
    """By shares of 1, in the luma; of a streak of .1 in the chroma, by means of 2x2, 3/4."""
    model = MdaIF("test", dataclasses.replace(TINY, medians=(1, 3))).eval()
    with torch.no_grad():
        for expert in model.experts.experts:
            expert.head.bias[-3:] = torch.tensor([1.0, 0.0, 1.0])
    scene, colours = torch.full((1, 1, 32, 64), 0.3), torch.full((1, 2, 32, 64), 0.6)
    scene[..., 40:] = 0.7
    rain, paled = scene.clone(), colours.clone()
    rain[..., 16:18], paled[..., 16:18] = 0.9, 0.5
    with torch.inference_mode():
        made = model.restore(torch.zeros_like(rain), rain, Cues(colours))
        coloured = model.restore(torch.zeros_like(rain), scene, Cues(paled))
    torch.testing.assert_close(made.visible, scene)
    assert (coloured.fused[:, 1:] - colours).abs().max() < 0.026


@pytest.mark.parametrize(
    "change",
    [
        {"prototypes": 0},
        {"experts": 1},
        {"prototypes": 6},
        {"orthonormal": False},
        {"router": "pixel"},
    ],
)
def test_every_ablation_of_the_paper_can_be_built_and_run(change):
    model = trained_alike(dataclasses.replace(TINY, **change))
    thermal, visible, cues = pair(32, 32, batch=2)
    with torch.inference_mode():
        made = model.restore(thermal, visible, cues)
    assert made.fused.isfinite().all()
    assert made.activations.shape == (2, 5, change.get("prototypes", 3))
    assert made.gates.shape == (2, change.get("experts", 4))
