"""The networks of M2PN on cells: where their pixels come from, and what their parts see."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from fusion_core.errors import UsageError
from fusion_core.models import Cues, create_model
from fusion_core.models.blocks import AffineHead, FineAffineHead, apply_maps
from fusion_core.models.m2pn_cells import EDGE, NANO, CellsConfig, CellStem, M2PNCells
from fusion_core.models.m2pn_regions import RegionPrompts
from fusion_core.models.m2pn_scene import PlaceMemory
from fusion_lab.training.shared_init import build_variant

SMALL = CellsConfig(stem=4, width=8, dim=12, heads=2, slots=5)
FINER = replace(SMALL, finer=2)
PLACES = replace(FINER, places=True)
REGIONS = replace(PLACES, regions=16)


def trained_alike(config=SMALL):
    """A network whose zero-initialised layers are not zero, as after training."""
    torch.manual_seed(0)
    model = M2PNCells("test", config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "affine" in name or name.startswith("head"):
                parameter.normal_(std=0.3)
    return model.eval()


def pair(height, width, batch=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(2, batch, 1, height, width, generator=generator).unbind(0)


@pytest.mark.parametrize("config", [SMALL, FINER, PLACES, REGIONS])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 3), (17, 23), (32, 40)])
def test_every_size_comes_back_in_range(config, height, width):
    with torch.inference_mode():
        made = trained_alike(config).forward_luma(*pair(height, width, batch=2))
    assert made.fused.shape == (2, 1, height, width)
    assert 0 <= made.fused.min() <= made.fused.max() <= 1
    assert made.query.shape == (2, SMALL.dim)
    assert made.attention.sum(1).tolist() == pytest.approx([1, 1], abs=1e-5)


@pytest.mark.parametrize("name", ["m2pn-nano", "m2pn-edge"])
def test_an_untrained_network_is_the_mean_of_the_sources(name):
    thermal, visible = pair(18, 21)
    with torch.inference_mode():
        fused = create_model(name, seed=0).eval().forward_luma(thermal, visible).fused
    assert (fused - (thermal + visible) / 2).abs().max() < 1e-6


@pytest.mark.parametrize("config", [SMALL, FINER, PLACES, REGIONS])
def test_running_gives_what_training_gave(config):
    model, images = trained_alike(config), pair(40, 56)
    learning = model.forward_luma(*images)
    with torch.inference_mode():
        running = model.forward_luma(*images)
    assert learning.fused.requires_grad
    assert (learning.fused - running.fused).abs().max() < 1e-5


@pytest.mark.parametrize("config", [SMALL, FINER, PLACES, REGIONS])
def test_a_batch_is_fused_as_each_pair_alone(config):
    model, (thermal, visible) = trained_alike(config), pair(24, 32, batch=3)
    with torch.inference_mode():
        together = model.forward_luma(thermal, visible).fused
        alone = model.forward_luma(thermal[1:2], visible[1:2]).fused
    assert (together[1:2] - alone).abs().max() < 1e-5


@pytest.mark.parametrize("config", [NANO, EDGE])
def test_every_parameter_receives_a_gradient(config):
    model = trained_alike(config)
    fused = model.forward_luma(*pair(32, 96)).fused  # a single region is like its scene
    (fused * torch.rand(32, 96)).sum().backward()
    assert [name for name, p in model.named_parameters() if not p.grad.any()] == []


def test_the_memory_is_heard():
    model, images = trained_alike(), pair(32, 32)
    with torch.inference_mode():
        one = model.forward_luma(*images).fused
        two = model.forward_luma(*images, Cues(memory=torch.randn(7, SMALL.dim))).fused
    assert (one - two).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("switch", "gone", "nodes"),
    [
        ("context_nodes", "node.residual", {"residual"}),
        ("graph", "thermal_graph", {"thermal_graph", "visible_graph"}),
        ("graph", "region_prompts.fused_graph", {"thermal_graph", "visible_graph"}),
        ("memory", "recall", set()),
        ("memory", "places", set()),
        ("prompts", "head.scene", {"thermal_graph", "visible_graph"}),
        ("prompts", "region_prompts", {"thermal_graph", "visible_graph"}),
    ],
)
def test_each_ablation_removes_its_part_and_still_trains(switch, gone, nodes):
    whole, part = trained_alike(REGIONS), trained_alike(replace(REGIONS, **{switch: False}))
    assert any(name.startswith(gone) for name, _ in whole.named_parameters())
    assert not any(name.startswith(gone) for name, _ in part.named_parameters())
    output = part.forward_luma(*pair(16, 16))
    expected = {"thermal", "visible", "fused", "residual", "thermal_graph", "visible_graph"} - nodes
    assert output.nodes.keys() == expected
    assert bool(output.attention.any()) == (switch not in {"memory", "prompts"})
    (output.fused.sum() + sum(vector.sum() for vector in output.nodes.values())).backward()
    assert [name for name, p in part.named_parameters() if p.grad is None] == []


def test_a_part_that_it_does_not_have_is_named():
    with pytest.raises(UsageError, match=r"m2pn-nano.*its levels cannot be changed"):
        build_variant("m2pn-nano", 0, {"levels": 1})


def test_every_place_reads_the_slot_that_it_is_like():
    """Slots along two axes; what asks along one of them gets exp(10) times as much of its slot."""
    memory = PlaceMemory(2, 2)
    with torch.no_grad():
        memory.ask.weight.copy_(torch.eye(2))
        memory.ask.bias.zero_()
        memory.tell.weight.copy_(torch.eye(2))
    maps = torch.zeros(1, 2, 3, 4)
    maps[0, 0, :, :2], maps[0, 1, :, 2:] = 0.5, 7.0
    slots = torch.tensor([[3.0, 0.0], [0.0, 2.0]])
    read = memory(maps, slots)[0]
    assert read.shape == (2, 3, 4)
    share = 1 / (1 + np.exp(-10))
    near = torch.tensor([3 * share, 2 * (1 - share)])
    far = torch.tensor([3 * (1 - share), 2 * share])
    torch.testing.assert_close(read[:, 1, 0], near.float())
    torch.testing.assert_close(read[:, 2, 3], far.float())
    torch.testing.assert_close(memory(maps, slots[None]), memory(maps, slots))


def test_without_what_is_remembered_places_know_nothing_of_their_surroundings():
    """Slots of zeros: a change 20 pixels away reaches a place by the scene alone, alike in all."""
    model, (thermal, visible) = trained_alike(PLACES), pair(64, 64)
    seen = []
    model.places.register_forward_hook(lambda _m, _i, read: seen.append(read))
    with torch.inference_mode():
        model.forward_luma(thermal, visible, Cues(memory=torch.zeros(5, SMALL.dim)))
        model.forward_luma(thermal, visible)
    assert float(seen[0].abs().max()) == 0
    assert float(seen[1].std((2, 3)).max()) > 0


def said(model, thermal, visible):
    """Return the prompts of the regions, ``BxDxKxL``."""
    heard = []
    handle = model.region_prompts.prompt.register_forward_hook(
        lambda _m, _i, out: heard.append(out)
    )
    with torch.inference_mode():
        model.forward_luma(thermal, visible)
    handle.remove()
    return heard[0]


def test_every_region_has_its_prompt_the_last_ones_smaller():
    prompts = said(trained_alike(REGIONS), *pair(40, 50))
    assert prompts.shape == (1, SMALL.dim, 3, 4)
    assert float(prompts.std((2, 3)).min()) > 0


def linear_alike():
    """A network whose maps before the prompts are linear in pictures that are brighter than 0.

    Its regions differ much, so that what their graphs say is far above what rounding does.
    """
    model = trained_alike(REGIONS)
    with torch.no_grad():
        for stem in (model.thermal_stem, model.visible_stem):
            stem.conv.weight.zero_()
        for conv in (model.merge, model.shrink, *(block.conv for block in model.blocks)):
            conv.weight.abs_()
            conv.bias.abs_()
        for node in (*model.deviation.values(), model.region_prompts.node):
            node.weight.mul_(100)
    return model


def test_a_region_hears_of_another_one_by_the_graphs_alone():
    """A hot thing 72 pixels away, as much cold beside it: the means of the scene stay as they are.

    Both are twelve half-cells from the corner region, of which the convolutions see four.
    """
    model, (thermal, visible) = linear_alike(), pair(128, 128)
    thermal = thermal / 2 + 0.25
    changed = thermal.clone()
    changed[..., 72:88, 72:80] += 0.2
    changed[..., 72:88, 80:88] -= 0.2
    graphs = (model.thermal_graph, model.visible_graph, model.region_prompts.fused_graph)

    def heard():
        one, two = said(model, thermal, visible), said(model, changed, visible)
        return float((one - two)[0, :, 0, 0].abs().max())

    by_graphs = heard()
    assert by_graphs > 1e-6
    for graph in graphs:
        torch.nn.init.zeros_(graph.out.weight)
    assert heard() < by_graphs / 100


def region_prompts():
    """Return prompts for nine regions of 4x4 places that do not say the same of each."""
    torch.manual_seed(0)
    return RegionPrompts(3, 8, 2, places=4, graph=True)


def test_places_get_the_mean_of_their_region_from_its_prompt_alone():
    """What is added to all maps changes nothing, if the prompts are those of before."""
    prompts, maps, query = region_prompts(), torch.rand(1, 3, 12, 12), torch.rand(1, 8)
    regions = [torch.rand(1, 9, 8) for _ in range(2)]
    with torch.inference_mode():
        one = prompts(maps, query, regions)
        held = torch.rand(1, 8, 3, 3)
        handle = prompts.prompt.register_forward_hook(lambda _m, _i, _out: held)
        two, three = prompts(maps, query, regions), prompts(maps + 5, query, regions)
        handle.remove()
        four = prompts(maps + 5, query, regions)
    assert (two - three).abs().max() < 1e-4
    assert (one - two).abs().max() > 1e-3
    assert (one - four).abs().max() > 1e-3


@pytest.mark.parametrize("source", [0, 1])
def test_every_source_of_a_region_has_a_say_in_its_prompt(source):
    prompts, maps, query = region_prompts(), torch.rand(1, 3, 12, 12), torch.rand(1, 8)
    regions = [torch.rand(1, 9, 8) for _ in range(2)]
    others = [part + (index == source) * torch.rand(1, 9, 8) for index, part in enumerate(regions)]
    with torch.inference_mode():
        change = prompts(maps, query, regions) - prompts(maps, query, others)
    assert change.abs().amax((1, 2, 3)).min() > 1e-3


def test_a_fused_node_says_by_how_much_its_region_is_brighter():
    """Of regions a little, and much, brighter than their scene: the prompts are not alike."""
    prompts, query, regions = region_prompts(), torch.zeros(1, 8), [torch.zeros(1, 9, 8)] * 2
    said = []
    prompts.prompt.register_forward_hook(lambda _m, _i, out: said.append(out[0, :, 0, 0]))
    with torch.inference_mode():
        for more in (0.1, 1.0):
            maps = torch.ones(1, 3, 12, 12)
            maps[..., :4, :4] += more
            prompts(maps, query, regions)
    assert (said[0] - said[1]).abs().max() > 0.05


# Its blocks


def test_the_last_map_of_a_stem_is_the_mean_of_the_cells():
    stem, x = CellStem(3, 4), torch.rand(2, 1, 16, 24)
    maps = stem(x)
    assert maps.shape == (2, 3, 4, 6)
    assert (maps[:, -1:] - F.avg_pool2d(x, 4)).abs().max() < 1e-6


HEADS = pytest.mark.parametrize("kind", [AffineHead, FineAffineHead])


def head(kind, **maps):
    """Return a head that gives these numbers everywhere, of a, b, m, w and r."""
    made = kind(2, 3)
    a, b, m, w, r = (maps.get(name, 0.5 if name == "w" else 0) for name in "abmwr")
    bounded = torch.tensor([a - 0.5, b - 0.5, m, 2 * w - 1, 2 * r])
    raw = torch.atanh(bounded.clamp(-1 + 1e-7, 1 - 1e-7))
    with torch.no_grad():
        if kind is FineAffineHead:
            made.conv.bias.copy_(raw[:4].repeat_interleave(4))
            made.rest.bias.copy_(raw[4:])
        else:
            made.conv.bias.copy_(raw)
    return made


def fused_by(made, thermal, visible, scene=0.0):
    """Return what a head makes of a pair from features that are zero everywhere."""
    edge = 2 if isinstance(made, FineAffineHead) else 4
    means = F.avg_pool2d(thermal, edge), F.avg_pool2d(visible, edge)
    with torch.inference_mode():
        maps = made(torch.zeros(1, 2, 4, 6), torch.full((1, 3), scene), means)
        return apply_maps(maps, thermal, visible)


@HEADS
def test_one_source_is_taken_whole(kind):
    thermal, visible = pair(16, 24)
    assert (fused_by(head(kind, a=1, b=0, w=0), thermal, visible) - visible).abs().max() < 1e-4
    assert (fused_by(head(kind, a=0, b=1, w=1), thermal, visible) - thermal).abs().max() < 1e-4


@HEADS
def test_single_pixels_take_the_brighter_source(kind):
    thermal, visible = pair(16, 24)
    fused = fused_by(head(kind, a=1, b=0, m=1, w=0), thermal, visible)
    assert (fused - torch.maximum(thermal, visible)).abs().max() < 1e-4


@HEADS
def test_detail_of_both_sources_can_be_kept_whole_at_the_brightness_of_one(kind):
    """A fine pattern in each source, on flat ground: both arrive, the ground is the visible one."""
    ticks = torch.tensor([0.1, -0.1]).repeat(12)
    thermal = (0.2 + ticks).expand(1, 1, 16, 24)
    visible = (0.6 + ticks.repeat_interleave(2)[:24]).expand(1, 1, 16, 24)
    fused = fused_by(head(kind, a=1, b=1, w=0), thermal, visible)
    expected = visible + thermal - 0.2
    np.testing.assert_allclose(fused[..., 4:-4], expected[..., 4:-4], atol=1e-4)


@HEADS
def test_the_scene_shifts_all_maps(kind):
    made = kind(2, 3)
    torch.nn.init.normal_(made.scene.weight)
    thermal, visible = pair(16, 24)
    one, two = (fused_by(made, thermal, visible, scene) for scene in (0.0, 1.0))
    assert (one - (thermal + visible) / 2).abs().max() < 1e-6
    assert (one - two).abs().mean() > 0.01


def test_a_network_of_another_grid():
    model = trained_alike(replace(SMALL, down=2))
    with torch.inference_mode():
        assert model.forward_luma(*pair(10, 14)).fused.shape == (1, 1, 10, 14)


def test_parts_of_a_cell_take_different_sources():
    """The left half of every cell weighs thermal detail and brightness, the right half visible."""
    made = FineAffineHead(2, 3)
    left = torch.tensor([-10.0, 10.0, 0.0, 10.0])  # a, b, m, w before they are bounded
    left[:2] = torch.atanh(torch.tensor([-0.5, 0.5]))
    right = torch.stack([left[1], left[0], left[2], -left[3]])
    with torch.no_grad():
        made.conv.bias.copy_(torch.stack([left, right, left, right], 1).flatten())
    fused = fused_by(made, torch.full((1, 1, 16, 24), 0.9), torch.full((1, 1, 16, 24), 0.1))
    columns = fused[0, 0, 8]
    assert columns.min() < 0.35
    assert columns.max() > 0.65
    assert columns[4:-4].reshape(-1, 4).std(0).max() < 1e-6  # every cell alike
