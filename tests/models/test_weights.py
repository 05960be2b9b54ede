import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from fusion_core.errors import FusionError, WeightsError
from fusion_core.models import create_model, load_model, load_weights, save_weights
from fusion_core.models.checkpoint import describe_config
from fusion_lab.training.fusion.ablation import build_network

NAME = "m2pn-edge"


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "weights.safetensors"
    model = create_model(NAME, seed=1)
    save_weights(model, path, {"steps": 10, "seed": 1})
    return path, model


def states_equal(a, b):
    return all(torch.equal(x, b.state_dict()[key]) for key, x in a.state_dict().items())


def rewrite(path, tensors=None, **metadata):
    """Save a checkpoint again with some tensors or metadata changed."""
    with safe_open(path, "pt") as file:
        kept = file.metadata()
    save_file(tensors or load_file(path), path, kept | metadata)


def test_round_trip_restores_every_bit_and_the_metadata(saved):
    path, model = saved
    other = create_model(NAME, seed=2)
    assert not states_equal(model, other)
    assert load_weights(other, path) == {"steps": 10, "seed": 1}
    assert states_equal(model, other)


def test_scores_come_back_and_torn_ones_are_refused(saved):
    path, model = saved
    model.scores = (0.25, 0.5)
    save_weights(model, path)
    assert load_model(str(path)).scores == (0.25, 0.5)
    rewrite(path, scores="[0.5, NaN]")
    with pytest.raises(WeightsError, match="scores torn"):
        load_model(str(path))


def test_file_describes_itself_without_this_program(saved):
    with safe_open(saved[0], "pt") as file:
        metadata = file.metadata()
    assert metadata["model"] == NAME
    assert metadata["format"] == "fusion-weights"
    assert json.loads(metadata["config"])["dim"] == 64


def test_loaded_model_is_the_saved_one_in_evaluation_mode(saved):
    path, model = saved
    loaded = load_model(str(path))
    assert states_equal(model, loaded)
    assert not loaded.training
    assert not any(module.training for module in loaded.modules())


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.999])
def test_truncated_file_is_refused_and_the_model_unchanged(saved, share):
    path, _ = saved
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    model, untouched = create_model(NAME, seed=2), create_model(NAME, seed=2)
    with pytest.raises(WeightsError, match="torn or not safetensors"):
        load_weights(model, path)
    assert states_equal(model, untouched)


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="no such file; train"):
        load_model(str(tmp_path / "none.safetensors"))


def test_foreign_file_is_refused(tmp_path):
    path = tmp_path / "foreign.safetensors"
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match="format None, expected 'fusion-weights'"):
        load_model(str(path))


@pytest.mark.parametrize("name", ["ctrlfuse", "mdaif"])
def test_checkpoints_of_other_networks_hold_their_architecture_too(tmp_path, name):
    model = create_model(name, seed=4)
    save_weights(model, tmp_path / "run.safetensors")
    loaded = load_model(str(tmp_path / "run.safetensors"))
    assert loaded.config == model.config
    assert states_equal(model, loaded)


def test_checkpoint_of_an_ablated_network_holds_its_architecture(tmp_path):
    ablated = build_network(NAME, "no-graph", seed=4)
    save_weights(ablated, tmp_path / "run.safetensors")
    loaded = load_model(str(tmp_path / "run.safetensors"))
    assert loaded.config == ablated.config != create_model(NAME, seed=0).config
    assert states_equal(ablated, loaded)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"config": "{torn"}, "unknown architecture"),
        ({"config": '{"width": "many"}'}, "unknown architecture"),
        ({"config": '{"depth": 3}'}, r"unknown architecture \(depth\)"),
        ({"model": "m3pn"}, "'m3pn': unknown"),
    ],
)
def test_checkpoint_of_an_unknown_network_is_refused(saved, change, error):
    rewrite(saved[0], **change)
    with pytest.raises(FusionError, match=error):
        load_model(str(saved[0]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": "99"}, "version '99'"),
        ({"model": "m2pn"}, "weights of model 'm2pn', expected 'm2pn-edge'"),
        ({"config": "{}"}, "other architecture"),
        ({"training": "{torn"}, "training metadata"),
    ],
)
def test_other_metadata_are_refused_and_the_model_unchanged(saved, change, message):
    path, _ = saved
    rewrite(path, **change)
    model, untouched = create_model(NAME, seed=2), create_model(NAME, seed=2)
    with pytest.raises(WeightsError, match=message):
        load_weights(model, path)
    assert states_equal(model, untouched)


def test_a_checkpoint_from_before_a_field_was_added_has_its_default(saved):
    path, model = saved
    given = json.loads(describe_config(model))
    assert given.pop("prompts") is True
    rewrite(path, config=json.dumps(given))
    assert states_equal(load_model(str(path)), model)


@pytest.mark.parametrize("kind", ["missing", "extra", "shape", "not finite"])
def test_other_tensors_are_refused_and_the_model_unchanged(saved, kind):
    path, _ = saved
    tensors = load_file(path)
    if kind == "missing":
        del tensors["merge.bias"]
    elif kind == "extra":
        tensors["other"] = torch.zeros(2)
    elif kind == "shape":
        tensors["merge.bias"] = torch.zeros(3)
    else:
        tensors["merge.bias"][0] = torch.nan
    rewrite(path, tensors)
    model, untouched = create_model(NAME, seed=2), create_model(NAME, seed=2)
    with pytest.raises(WeightsError, match="'other'" if kind == "extra" else "'merge.bias'"):
        load_weights(model, path)
    assert states_equal(model, untouched)


def test_failed_save_leaves_the_old_file(saved):
    path, model = saved
    before = path.read_bytes()
    with pytest.raises(TypeError):
        save_weights(model, path, {"unwritable": object()})
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
