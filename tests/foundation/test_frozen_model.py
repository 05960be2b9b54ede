"""The contract of the holder of foundation models.

It runs over tiny random models of the real classes, over the networks that ship as their stand-in,
and over any module that has a loader.
"""

import copy
import dataclasses
import sys

import pytest
import tiny_models
import torch
from torch import nn

from fusion_core.errors import MissingExtraError, WeightsError
from fusion_core.foundation import FOUNDATIONS, FoundationKind, FrozenModel, fingerprint
from fusion_core.foundation.fingerprint import ADDED_LATER
from fusion_core.priors.checkpoint import save_prior
from fusion_core.priors.embedded import EMBEDDED
from fusion_core.priors.network import PriorNet

pytest.importorskip("transformers")
pytest.importorskip("diffusers")


def _autoencoder(folder):
    """Save a module of no library, such as an autoencoder from elsewhere."""
    torch.manual_seed(0)
    torch.save(nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8)).state_dict(), folder / "w.pt")
    return folder / "w.pt"


def _load_autoencoder(weights, dtype):
    made = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8))
    made.load_state_dict(torch.load(weights, weights_only=True))
    return made.to(dtype)


def _embedded(folder):
    torch.manual_seed(0)
    save_prior(PriorNet("visible"), PriorNet("thermal"), folder / "prior.safetensors", {})
    return folder / "prior.safetensors"


ANY = FoundationKind("module 'any'", _load_autoencoder, "nowhere", "its weights")
CASES = {
    "sam": (FOUNDATIONS["sam"], tiny_models.sam),
    "clip": (FOUNDATIONS["clip"], tiny_models.clip),
    "siglip": (FOUNDATIONS["clip"], tiny_models.siglip),
    "blip2": (FOUNDATIONS["blip2"], tiny_models.blip2),
    "mae": (FOUNDATIONS["mae"], tiny_models.mae),
    "clip-text": (FOUNDATIONS["clip-text"], tiny_models.clip_text),
    "t5": (FOUNDATIONS["t5"], tiny_models.t5),
    "minilm": (FOUNDATIONS["minilm"], tiny_models.minilm),
    "kl": (FOUNDATIONS["kl"], tiny_models.kl),
    "tiny": (FOUNDATIONS["tiny"], tiny_models.tiny),
    "cosmos": (FOUNDATIONS["cosmos"], tiny_models.cosmos),
    "embedded": (EMBEDDED, _embedded),
    "any": (ANY, _autoencoder),
}


def test_every_kind_has_its_case():
    assert FOUNDATIONS.keys() <= CASES.keys()


@pytest.fixture(scope="module", params=CASES)
def case(request, tmp_path_factory):
    """Return a kind and a folder or file of weights."""
    kind, save = CASES[request.param]
    return kind, str(save(tmp_path_factory.mktemp(request.param)))


@pytest.fixture
def held(case):
    return FrozenModel(*case)


class Network(nn.Module):
    """A network that uses a frozen model beside weights of its own."""

    def __init__(self, held):
        super().__init__()
        self.own = nn.Linear(2, 2)
        self.held = held


@pytest.fixture
def network(held):
    return Network(held)


def types_of(module):
    return {value.dtype for value in module.parameters() if value.is_floating_point()}


class TestContract:
    def test_it_is_loaded_at_the_first_use_and_once(self, held):
        assert not held.is_loaded
        assert held.model is held.model
        assert held.is_loaded

    def test_training_reaches_nothing_of_it(self, network):
        _ = network.held.model
        network.train()
        network.requires_grad_()
        parts = list(network.held.model.modules())
        assert parts
        assert not any(part.training for part in parts)
        parameters = list(network.held.model.parameters())
        assert parameters
        assert not any(parameter.requires_grad for parameter in parameters)

    def test_it_is_no_part_of_state_and_parameters(self, network):
        before = set(network.state_dict())
        _ = network.held.model
        assert set(network.state_dict()) == before == {"own.weight", "own.bias"}
        assert {name for name, _ in network.named_parameters()} == before
        assert not list(network.held.buffers())
        network.load_state_dict(network.state_dict())

    def test_an_optimiser_step_leaves_it_as_it_was(self, network):
        before = copy.deepcopy(network.held.model.state_dict())
        optimiser = torch.optim.SGD(network.parameters(), lr=1.0)
        network.own(torch.ones(1, 2)).sum().backward()
        optimiser.step()
        after = network.held.model.state_dict()
        assert all(torch.equal(after[key], value) for key, value in before.items())

    def test_copies_share_it(self, network):
        early = copy.deepcopy(network)
        model = network.held.model
        late = copy.deepcopy(network)
        assert early.held.model is model
        assert late.held.model is model
        assert late.own.weight is not network.own.weight

    def test_averaging_leaves_it_out(self, network):
        _ = network.held.model
        average = torch.optim.swa_utils.AveragedModel(network)
        average.update_parameters(network)
        assert average.module.held.model is network.held.model
        assert not any("held" in name for name in average.state_dict())

    @pytest.mark.parametrize("loaded", [True, False])
    def test_it_follows_to_before_and_after_loading(self, network, loaded):
        if loaded:
            _ = network.held.model
        network.to(torch.float64)
        assert types_of(network.held.model) == {torch.float64}
        network.half()
        assert types_of(network.held.model) == {torch.float16}

    def test_the_fingerprint_is_that_of_class_configuration_and_weights(self, case):
        kind, weights = case
        held = FrozenModel(kind, weights)
        found = held.fingerprint()
        assert len(found) == 16
        assert found == FrozenModel(kind, weights).fingerprint()
        changed = kind.load(weights, torch.float32)
        assert fingerprint(changed) == found
        with torch.no_grad():
            next(changed.parameters()).view(-1)[0] += 1e-3
        assert fingerprint(changed) != found

    def test_the_fingerprint_stays_when_the_weights_are_rounded(self, network):
        before = FrozenModel(network.held.kind, network.held.weights).fingerprint()
        _ = network.held.model
        network.half()
        assert network.held.fingerprint() == before

    def test_other_weights_than_expected_are_refused(self, case):
        kind, weights = case
        right, wrong, late = (FrozenModel(kind, weights) for _ in range(3))
        identity = right.fingerprint()
        right.expect(identity, "run.safetensors")
        assert right.model is not None
        message = f"{kind.title}.*{identity}.*run.safetensors was trained with 0123"
        wrong.expect("0123", "run.safetensors")
        with pytest.raises(WeightsError, match=message):
            _ = wrong.model
        _ = late.model
        with pytest.raises(WeightsError, match=message):
            late.expect("0123", "run.safetensors")
        assert late.model is not None

    def test_what_a_checkpoint_records(self, case):
        kind, weights = case
        held = FrozenModel(kind, weights)
        assert held.recorded == ""
        held.expect("0123", "run.safetensors")
        assert held.recorded == "0123"
        used = FrozenModel(kind, weights)
        assert used.fingerprint() == used.recorded

    def test_other_weights_are_loaded_when_they_are_named_later(self, case):
        kind, weights = case
        held = FrozenModel(kind, "somewhere else")
        other = copy.deepcopy(held)
        held.weights = weights
        assert held.model is not None
        assert other.weights == "somewhere else"
        assert not other.is_loaded


def test_a_copy_made_before_an_expectation_is_not_a_way_around_it(tmp_path):
    held = FrozenModel(ANY, str(_autoencoder(tmp_path)))
    other = copy.deepcopy(held)
    held.expect("0123", "run.safetensors")
    assert other.model is not None
    with pytest.raises(WeightsError, match="0123"):
        _ = held.model


def test_half_precision_is_loaded_as_such(tmp_path):
    held = FrozenModel(FOUNDATIONS["clip-text"], str(tiny_models.clip_text(tmp_path)), torch.half)
    assert types_of(held.model) == {torch.float16}


@pytest.mark.parametrize("name", FOUNDATIONS)
def test_absent_weights_are_named_with_where_and_how(name, tmp_path):
    held = FrozenModel(FOUNDATIONS[name], str(tmp_path / "nowhere"))
    with pytest.raises(WeightsError) as caught:
        _ = held.model
    message = str(caught.value)
    assert all(word in message for word in (held.kind.title, "nowhere", "hf download"))
    assert "\n" not in message
    assert not held.is_loaded


def test_an_absent_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"\.\[vlm\]"):
        _ = FrozenModel(FOUNDATIONS["sam"]).model
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(MissingExtraError, match=r"codec 'kl' needs diffusers.*\.\[vlm\]"):
        _ = FrozenModel(FOUNDATIONS["kl"]).model


def test_a_change_of_configuration_changes_the_fingerprint(tmp_path):
    """The same weights with another number of heads are another model."""
    from transformers import CLIPTextModel

    folder = str(tiny_models.clip_text(tmp_path))
    plain = CLIPTextModel.from_pretrained(folder)
    other = CLIPTextModel.from_pretrained(folder, num_attention_heads=2)
    assert all(map(torch.equal, plain.state_dict().values(), other.state_dict().values()))
    assert fingerprint(plain) != fingerprint(other)


def test_a_change_of_an_autoencoder_s_configuration_changes_the_fingerprint(tmp_path):
    found = []
    for name, factor in (("one", 0.36), ("other", 0.18)):
        folder = tiny_models.kl(tmp_path / name, scaling_factor=factor)
        found.append(FrozenModel(FOUNDATIONS["kl"], str(folder)).fingerprint())
    assert found[0] != found[1]


def test_loading_leaves_the_random_numbers_alone():
    def load(_weights, _dtype):
        return torch.nn.Linear(3, 3)

    held = FrozenModel(FoundationKind("test", load, "nowhere", "its weights"))
    torch.manual_seed(0)
    expected = torch.rand(2)
    torch.manual_seed(0)
    _ = held.model
    assert torch.equal(torch.rand(2), expected)


def test_a_field_that_was_added_later_changes_no_fingerprint_at_its_default():
    @dataclasses.dataclass
    class Before:
        width: int = 3

    @dataclasses.dataclass
    class After(Before):
        head: str = dataclasses.field(default="old", metadata=ADDED_LATER)

    def identity(config):
        torch.manual_seed(0)
        layer = nn.Linear(2, 2)
        layer.config = config
        return fingerprint(layer)

    assert identity(After()) == identity(Before())
    assert identity(After(head="new")) != identity(After())
    assert identity(After(width=4)) != identity(After())
