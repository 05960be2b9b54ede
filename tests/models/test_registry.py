"""The list of models: what is stated about each is true, and listing builds nothing."""

from importlib.metadata import EntryPoint

import pytest

from fusion_core import plugins
from fusion_core.errors import UsageError, WeightsError
from fusion_core.models import Fuser, ModelSpec, create_model, list_models, load_model
from fusion_core.models.m2pn import FULL, M2PN
from fusion_core.plugins import MODELS, load_plugin

INFOS = {info.name: info for info in list_models()}


@pytest.fixture
def entries(monkeypatch):
    """Return a function that replaces the installed entry points by others, name -> value."""

    def replace(**values):
        found = [EntryPoint(name, value, MODELS) for name, value in values.items()]
        monkeypatch.setattr(plugins, "entry_points", lambda group: found)
        plugins._entries.cache_clear()

    yield replace
    plugins._entries.cache_clear()


def test_every_shipped_model_is_listed():
    shipped = {"m2pn", "m2pn-edge", "m2pn-nano", "ctrlfuse", "ctrlfuse-full", "mdaif", "mdaif-b1"}
    shipped |= {"tcmoa", "tcmoa-base", "tcmoa-large"}
    assert shipped <= set(INFOS)


@pytest.mark.parametrize("name", INFOS)
def test_what_is_stated_is_what_is_built(name):
    model = create_model(name, seed=0)
    spec = load_plugin(MODELS, name, ModelSpec)
    assert INFOS[name].parameters == model.parameter_count()
    assert INFOS[name].tasks == model.features.tasks
    assert INFOS[name].description
    assert model.config == spec.config
    assert model.name == name


def test_weights_load_where_the_list_has_them():
    for info in INFOS.values():
        if info.weights_present:
            assert load_model(info.name).name == info.name
        else:
            with pytest.raises(WeightsError, match=f"{info.name}.*no weights ship.*fusion train"):
                load_model(info.name)


def test_listing_builds_no_network(monkeypatch):
    def refuse(*_args, **_options):
        raise AssertionError("a network was built")

    monkeypatch.setattr(Fuser, "__init__", refuse)
    assert {info.name for info in list_models()} == set(INFOS)


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(UsageError, match=r"'m2pm': unknown; known models: .*m2pn, m2pn-edge"):
        load_model("m2pm")


BROKEN = "tests_have_no_such_module:SPEC"


def test_a_model_that_cannot_be_imported_hides_no_other(entries, caplog):
    entries(good="fusion_core.models.shipped:M2PN_EDGE", broken=BROKEN)
    assert [info.name for info in list_models()] == ["good"]
    assert "'broken'" in caplog.text
    assert "reinstall" in caplog.text
    with pytest.raises(UsageError, match=r"'broken'.*cannot be imported.*no_such_module"):
        load_model("broken")


def test_a_part_of_another_kind_is_refused(entries):
    entries(odd="fusion_core.models.m2pn:FULL")
    with pytest.raises(UsageError, match=r"'odd'.*is a M2PNConfig, expected ModelSpec"):
        create_model("odd")


def test_weights_that_a_package_states_but_lacks_are_named(entries, monkeypatch, tmp_path):
    spec = ModelSpec(M2PN, FULL, "none", "for a test", 1, weights=tmp_path / "mine.safetensors")
    monkeypatch.setattr("fusion_core.models.shipped.M2PN_EDGE", spec)
    entries(mine="fusion_core.models.shipped:M2PN_EDGE")
    assert [info.weights_present for info in list_models()] == [False]
    with pytest.raises(WeightsError, match=r"mine\.safetensors: no such file"):
        load_model("mine")
