import dataclasses

import numpy as np
import pytest
import torch
from skimage import data
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from fusion_core.errors import UsageError
from fusion_core.models import Cues, Fuser, create_model
from fusion_core.models.m2pn import FULL, M2PN, M2PNConfig

NAMES = ("m2pn", "m2pn-edge")
SMALL = M2PNConfig(growth=4, width=8, tail=(8,), dim=12, heads=2, slots=5)
PLACES = dataclasses.replace(SMALL, places=True)
HALF = M2PNConfig(growth=8, layers=3, width=16, tail=(16,), dim=64, down=2, levels=1)


def trained_alike(config=SMALL, seed=0):
    """A network whose zero-initialised layers are not zero, as after training."""
    torch.manual_seed(seed)
    model = M2PN("test", config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "affine" in name or name.startswith("head"):
                parameter.normal_(std=0.3)
    return model.eval()


def pair(height, width, batch=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(2, batch, 1, height, width, generator=generator).unbind(0)


@pytest.mark.parametrize(("name", "published"), [("m2pn", 0.97e6), ("m2pn-edge", None)])
def test_parameter_count_is_near_the_published_one(name, published):
    """0.97 M in M2PN's table of efficiency; the edge network is this project's own."""
    count = create_model(name, seed=0).parameter_count()
    assert published is None or abs(count - published) / published < 0.03
    assert count == {"m2pn": 972_854, "m2pn-edge": 141_103}[name]


def test_cost_is_near_the_published_one():
    """15.6 G multiply-accumulates at 256x256 in M2PN's table of efficiency."""
    model = create_model("m2pn", seed=0).eval()
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        model.forward_luma(*pair(256, 256))
    macs = counter.get_total_flops() / 2
    assert abs(macs - 15.6e9) / 15.6e9 < 0.05


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 3), (17, 23), (32, 40)])
def test_every_size_comes_back_in_range(name, height, width):
    model = create_model(name, seed=0).eval()
    thermal, visible = pair(height, width, batch=2)
    with torch.inference_mode():
        output = model.forward_luma(thermal, visible)
    assert output.fused.shape == (2, 1, height, width)
    assert output.fused.isfinite().all()
    assert output.fused.min() >= 0
    assert output.fused.max() <= 1
    names = {"thermal", "visible", "fused", "residual", "thermal_graph", "visible_graph"}
    assert output.nodes.keys() == names
    assert {vector.shape for vector in output.nodes.values()} == {(2, model.dim)}
    assert output.query.shape == (2, model.dim)
    assert output.attention.sum(1).tolist() == pytest.approx([1, 1], abs=1e-5)
    assert output.attention.shape == (2, len(model.bank))


@pytest.mark.parametrize("down", [1, 2])
def test_result_does_not_depend_on_the_order_or_size_of_the_batch(down):
    model = trained_alike(dataclasses.replace(SMALL, down=down))
    thermal, visible = pair(16, 20, batch=3)
    order = [2, 0, 1]
    with torch.inference_mode():
        straight = model.forward_luma(thermal, visible).fused
        shuffled = model.forward_luma(thermal[order], visible[order]).fused
        alone = model.forward_luma(thermal[1:2], visible[1:2]).fused
    assert (straight[order] - shuffled).abs().max() < 1e-5
    assert (straight[1:2] - alone).abs().max() < 1e-5


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_network_and_result(name):
    first, second = (create_model(name, seed=3).eval() for _ in range(2))
    other = create_model(name, seed=4)
    assert torch.equal(first.bank, second.bank)
    assert not torch.equal(first.bank, other.bank)
    images = pair(16, 16)
    with torch.inference_mode():
        fused = [model.forward_luma(*images).fused for model in (first, second)]
    assert torch.equal(*fused)


def test_building_with_a_seed_leaves_the_global_generator_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    create_model("m2pn-edge", seed=9)
    assert torch.equal(torch.rand(3), expected)


def test_slots_change_the_picture_and_inference_leaves_them_alone():
    model = trained_alike()
    images = pair(16, 16)
    before = model.bank.clone()
    with torch.inference_mode():
        one = model.forward_luma(*images)
        two = model.forward_luma(*images, Cues(memory=torch.randn(7, model.dim)))
    assert (one.fused - two.fused).abs().max() > 1e-4
    assert two.attention.shape == (1, 7)
    assert torch.equal(model.bank, before)
    assert "bank" in model.state_dict()


def test_edge_network_keeps_the_finest_detail_of_both_sources():
    """A checkerboard in one source: its amplitude is halved by blending, never blurred away."""
    checkers = 0.5 + 0.4 * torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(16, 16)[None, None]
    flat = torch.full_like(checkers, 0.5)
    model = create_model("m2pn-edge", seed=0).eval()
    with torch.inference_mode():
        fused = model.forward_luma(checkers, flat).fused
    assert (fused - 0.5).abs().mean() == pytest.approx(0.2, abs=0.01)


def test_untrained_edge_network_is_the_mean_of_the_sources():
    model = create_model("m2pn-edge", seed=0).eval()
    thermal, visible = pair(18, 21)
    with torch.inference_mode():
        fused = model.forward_luma(thermal, visible).fused
    assert (fused - (thermal + visible) / 2).abs().max() < 1e-6


@pytest.mark.parametrize(
    ("switch", "gone", "nodes"),
    [
        ("context_nodes", "residual_encoder", {"residual"}),
        ("graph", "thermal_graph", {"thermal_graph", "visible_graph"}),
        ("memory", "recall", set()),
        ("memory", "places", set()),
        ("prompts", "places", {"thermal_graph", "visible_graph"}),
        ("prompts", "blocks.0.prompt", {"thermal_graph", "visible_graph"}),
    ],
)
def test_each_ablation_removes_its_part_and_still_trains(switch, gone, nodes):
    whole, part = (
        trained_alike(PLACES),
        trained_alike(dataclasses.replace(PLACES, **{switch: False})),
    )
    assert any(name.startswith(gone) for name, _ in whole.named_parameters())
    assert not any(name.startswith(gone) for name, _ in part.named_parameters())
    thermal, visible = pair(8, 8)
    output = part.forward_luma(thermal, visible)
    expected = {"thermal", "visible", "fused", "residual", "thermal_graph", "visible_graph"} - nodes
    assert output.nodes.keys() == expected
    uses_memory = switch not in {"memory", "prompts"}
    assert bool(output.attention.any()) == uses_memory
    total = output.fused.sum() + sum(vector.sum() for vector in output.nodes.values())
    total.backward()
    unused = [name for name, p in part.named_parameters() if p.grad is None]
    assert unused == []


@pytest.mark.parametrize("config", [FULL, HALF])
def test_every_parameter_of_the_shipped_designs_receives_a_gradient(config):
    model = trained_alike(config)
    output = model.forward_luma(*pair(16, 16))
    (output.fused * torch.rand(16, 16)).sum().backward()
    dead = [key for key, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert dead == []


def test_half_precision_stays_near_single_precision():
    """bfloat16 has 8 bits of mantissa: differences of a few 1/256 are its rounding."""
    model = trained_alike(dataclasses.replace(SMALL, down=2))
    images = pair(16, 16)
    with torch.inference_mode():
        full = model.forward_luma(*images)
        with torch.autocast("cpu", torch.bfloat16):
            half = model.forward_luma(*images)
    assert half.fused.dtype == torch.float32
    assert (full.fused - half.fused).abs().mean() < 0.02


@pytest.mark.parametrize("config", [FULL, HALF])
def test_running_gives_what_training_gave(config):
    """Running has shorter ways than training, whose numbers have a gradient."""
    model = trained_alike(config)
    images = pair(34, 46)
    learning = model.forward_luma(*images)
    with torch.inference_mode():
        running = model.forward_luma(*images)
    assert learning.fused.requires_grad
    assert (learning.fused - running.fused).abs().max() < 1e-4
    assert (learning.query - running.query).abs().max() < 1e-4


def test_wrong_shapes_are_refused_with_the_shapes_named():
    model = create_model("m2pn-edge", seed=0)
    assert isinstance(model, Fuser)
    image = torch.rand(1, 1, 8, 8)
    with pytest.raises(UsageError, match=r"\(1, 3, 8, 8\)"):
        model.forward_luma(image, torch.rand(1, 3, 8, 8))
    with pytest.raises(UsageError, match=r"\(4, 63\): expected \(slots, 64\)"):
        model.forward_luma(image, image, Cues(memory=torch.rand(4, 63)))


@pytest.mark.parametrize("size", [(17, 23), (32, 40)])
def test_without_what_is_remembered_the_maps_decide_nothing(size):
    """Slots of zeros: the weights of the sources are alike in all places but at the border."""
    model, images = trained_alike(PLACES), pair(*size)
    seen = []
    model.head.register_forward_pre_hook(lambda _m, inputs: seen.append(inputs[0]))
    with torch.inference_mode():
        model.forward_luma(*images, Cues(memory=torch.zeros(5, model.dim)))
        model.forward_luma(*images)
    inside = np.s_[..., 4:-4, 4:-4]
    assert float(seen[0][inside].std((2, 3)).max()) < 1e-6
    assert float(seen[1][inside].std((2, 3)).max()) > 1e-3


@pytest.mark.parametrize("config", [SMALL, PLACES, dataclasses.replace(SMALL, width=16, down=2)])
def test_overfits_four_pairs(config):
    """The target is the brighter source, which no fixed blend of the two can give."""
    torch.manual_seed(0)
    model = M2PN("test", config).train()
    camera = torch.from_numpy(data.camera() / np.float32(255))[None, None]
    coins = torch.from_numpy(data.coins() / np.float32(255))[None, None]
    visible = torch.cat([camera[..., i : i + 32, 200:232] for i in (100, 160, 220, 300)])
    thermal = torch.cat([coins[..., i : i + 32, 100:132] for i in (10, 80, 150, 220)])
    target = torch.maximum(thermal, visible)
    start = F.l1_loss((thermal + visible) / 2, target).item()
    optimiser = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(120):
        loss = F.l1_loss(model.forward_luma(thermal, visible).fused, target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.25 * start
