import dataclasses

import pytest
import torch

from fusion_core.errors import ConfigError, UsageError
from fusion_core.models import LumaOutput, create_model, list_models
from fusion_core.models.blocks import TanhHead
from fusion_lab.training.adapting import load_adapting_recipe
from fusion_lab.training.batches import PairBatch
from fusion_lab.training.fusion import load_fusion_recipe
from fusion_lab.training.fusion.ablation import ABLATIONS, build_network
from fusion_lab.training.objective import LossWeights, objective
from fusion_lab.training.prompting import load_prompt_recipe
from fusion_lab.training.restoring import load_restoring_recipe
from fusion_lab.training.wishing import load_wishing_recipe

LOADERS = {
    "m2pn": load_fusion_recipe,
    "ctrlfuse": load_prompt_recipe,
    "mdaif": load_restoring_recipe,
    "tcmoa": load_adapting_recipe,
    "mmaif": load_wishing_recipe,
}


@pytest.mark.parametrize("name", [info.name for info in list_models()])
def test_every_model_has_a_recipe(name):
    assert LOADERS[name.partition("-")[0]](name).model == name


def test_overrides_win_and_none_does_not():
    recipe = load_fusion_recipe("m2pn", steps=7, batch=None)
    assert recipe.steps == 7
    assert recipe.batch == load_fusion_recipe("m2pn").batch


def test_unknown_model_lists_the_known():
    with pytest.raises(UsageError, match=r"m3pn.*m2pn-edge"):
        load_fusion_recipe("m3pn")


def test_a_recipe_of_ones_own_takes_the_place_of_the_one_that_ships(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("model: m2pn-edge\nsteps: 9\nloss: {overshoot: 3.5}\n")
    recipe = load_fusion_recipe("m2pn-edge", source=str(file))
    assert (recipe.steps, recipe.loss) == (9, LossWeights(overshoot=3.5))
    assert load_fusion_recipe("m2pn-edge", "no-structure", source=str(file)).loss.overshoot == 3.5


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("model: m2pn\nsteps: 9\n", "'m2pn'.*'m2pn-edge'"),
        ("a: [", "not valid YAML"),
        ("7", "mapping of keys"),
    ],
)
def test_a_recipe_that_does_not_fit_is_an_error(tmp_path, text, reason):
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=rf"mine\.yaml.*{reason}"):
        load_fusion_recipe("m2pn-edge", source=str(file))


def test_a_recipe_that_is_not_there_lists_those_that_ship():
    with pytest.raises(UsageError, match=r"none\.yaml.*m2pn-edge"):
        load_fusion_recipe("m2pn", source="none.yaml")


@pytest.mark.parametrize("name", ABLATIONS)
def test_ablation_differs_from_the_full_system_in_its_part_only(name):
    full, ablated = load_fusion_recipe("m2pn"), load_fusion_recipe("m2pn", name)
    change = ABLATIONS[name]
    back = dataclasses.replace(
        ablated,
        ablation="",
        **{key: getattr(full, key) for key in change.recipe},
        loss=dataclasses.replace(
            ablated.loss, **{key: getattr(full.loss, key) for key in change.loss}
        ),
    )
    assert ablated != full
    assert back == full
    network = build_network("m2pn", name, seed=0)
    config = create_model("m2pn", seed=0).config
    assert network.config == dataclasses.replace(config, **change.network)


def test_the_paper_s_network_has_its_head_and_its_weights():
    """L_w + 15 L_s + L_ctr, tanh of a convolution instead of 6 maps of a blend, and
    only the scene reads the bank."""
    loss, network = load_fusion_recipe("m2pn", "paper").loss, build_network("m2pn", "paper", seed=0)
    assert loss == LossWeights()
    assert isinstance(network.head, TanhHead)
    assert network.places is None
    assert network.head.conv.weight.shape == (1, 16, 3, 3)


def test_a_network_without_the_part_says_so():
    with pytest.raises(UsageError, match=r"m2pn-edge.*its head cannot be changed"):
        build_network("m2pn-edge", "paper", seed=0)


def test_unknown_ablation_lists_the_known():
    with pytest.raises(UsageError, match=r"no-sense.*no-memory"):
        load_fusion_recipe("m2pn", "no-sense")


def test_out_of_range_value_is_named():
    with pytest.raises(ConfigError, match=r"steps = 0"):
        load_fusion_recipe("m2pn", steps=0)


def test_paper_weights_are_the_defaults():
    # M2PN: L_w + 15 L_s + L_ctr, where L_s holds both SSIM terms and the gradient.
    weights = LossWeights()
    assert (weights.selected, weights.ssim, weights.gradient) == (1, 15, 15)
    # The five terms of equation 17, and none that it does not have.
    assert (weights.contrast, weights.apart, weights.reading) == (1, 1, 0)


def test_objective_is_the_weighted_sum_of_its_terms():
    generator = torch.Generator().manual_seed(0)
    images = [torch.rand(2, 1, 24, 24, generator=generator) for _ in range(4)]
    nodes = {
        name: torch.randn(2, 8, generator=generator)
        for name in ("thermal", "visible", "fused", "thermal_graph", "visible_graph")
    }
    output = LumaOutput(images[0], query=nodes["fused"], nodes=nodes)
    batch = PairBatch(*images[1:])
    one = LossWeights(selected=1, brighter=1, ssim=1, gradient=1, reading=1)
    plain = objective(output, batch, one)
    parts = sum(value.item() for name, value in plain.items() if name != "total")
    assert plain["total"].item() == pytest.approx(parts, rel=1e-5)
    for name in ("selected", "brighter", "ssim", "gradient", "contrast", "apart", "reading"):
        doubled = objective(output, batch, dataclasses.replace(one, **{name: 2}))
        assert doubled[name].item() == pytest.approx(2 * plain[name].item(), rel=1e-5)
        without = objective(output, batch, dataclasses.replace(one, **{name: 0}))
        assert name not in without


def test_the_restorer_sees_what_mdaif_sees():
    """They are compared as if trained alike: only what the restorer lacks may differ."""
    ours, theirs = (
        dataclasses.asdict(load_restoring_recipe(name)) for name in ("mdaif", "restorer")
    )
    losses = {name: (ours["loss"][name], theirs["loss"][name]) for name in ours["loss"]}
    own = {"model", "learning_rate", "prior", "thermal", "mistaken", "loss"}
    assert {name for name in ours if ours[name] != theirs[name]} <= own
    assert {name for name, (a, b) in losses.items() if a != b} <= {"edges", "weather"}
