import dataclasses
from dataclasses import dataclass
from typing import Annotated

import pytest
from pydantic import Field
from small_networks import Plain

from fusion_core.errors import ConfigError
from fusion_core.models import create_model, model_options
from fusion_core.models.ctrlfuse import CtrlFuseOptions
from fusion_core.models.options import NoOptions, options_fields, read_options, split_options
from fusion_core.runtime.settings import Settings


@dataclass(frozen=True)
class Steps(Settings):
    steps: Annotated[int, Field(ge=1, le=50, description="Steps of the sampler.")] = 10
    quick: Annotated[bool, Field(description="Half of the steps.")] = False


def test_what_is_given_counts_and_the_rest_keeps_its_default():
    assert read_options(CtrlFuseOptions, {}, "ctrlfuse") == CtrlFuseOptions()
    assert read_options(Steps, {"steps": 3}, "steps") == Steps(3)


@pytest.mark.parametrize(
    ("kind", "values", "words"),
    [
        (CtrlFuseOptions, {"gain": 11.0}, "model 'm': gain = 11.0: .*less than or equal to 10"),
        (CtrlFuseOptions, {"gain": -1}, "gain = -1"),
        (CtrlFuseOptions, {"gain": "high"}, "gain = 'high'"),
        (
            CtrlFuseOptions,
            {"gian": 1.0},
            "options.gian: unknown.*mean 'gain'.*segmenter_weights",
        ),
        (NoOptions, {"gain": 1.0}, "options.gain: unknown to model 'm'; known options: none"),
        (Steps, {"steps": 2.5}, "steps = 2.5"),
    ],
)
def test_unknown_and_wrong_values_are_refused(kind, values, words):
    with pytest.raises(ConfigError, match=words):
        read_options(kind, values, "m")


def test_each_model_takes_what_it_has():
    kinds = {"a": CtrlFuseOptions, "b": Steps}
    split = split_options(kinds, {"gain": 2.0, "steps": 4})
    assert split == {"a": CtrlFuseOptions(2.0), "b": Steps(4)}
    with pytest.raises(ConfigError, match=r"unknown to model 'a' and 'b'.*gain.*steps, quick"):
        split_options(kinds, {"gian": 2.0})


def test_fields_tell_range_and_description():
    steps, quick = options_fields(Steps)
    assert (steps.name, steps.default, steps.low, steps.high) == ("steps", 10, 1, 50)
    assert (quick.default, quick.low, quick.description) == (False, None, "Half of the steps.")
    assert options_fields(NoOptions) == ()
    assert all(field.description for field in options_fields(CtrlFuseOptions))


def test_a_network_takes_its_own_options_only():
    model = create_model("ctrlfuse", seed=0)
    assert model.options == CtrlFuseOptions()
    model.configure(CtrlFuseOptions(gain=3.0))
    assert model.options.gain == 3.0
    with pytest.raises(ConfigError, match="options are a Steps, expected CtrlFuseOptions"):
        model.configure(Steps())
    assert model.options.gain == 3.0
    with pytest.raises(ConfigError, match="gain = 30"):
        dataclasses.replace(model.options, gain=30.0)
    Plain().configure(NoOptions())
    assert Plain().options == NoOptions()


def test_options_are_known_without_the_network():
    assert model_options("ctrlfuse-full") is CtrlFuseOptions
    assert model_options("m2pn") is NoOptions
