"""The configuration of a verb: file, flags and ``--set``."""

import pytest
import yaml

from fusion_core.cli.settings import read_config
from fusion_core.config import Config
from fusion_core.errors import ConfigError
from fusion_core.runtime.settings import setting_types


def value_of(config, name):
    block, _, leaf = name.rpartition(".")
    return getattr(getattr(config, block) if block else config, leaf)


def another_value(name):
    """Return a value of a setting that is not its default, as one types it, and as it is kept."""
    default = value_of(Config(), name)
    if isinstance(default, bool):
        return str(not default).lower(), not default
    if isinstance(default, float):
        return f"{default / 2 + 0.125}", default / 2 + 0.125
    if isinstance(default, int):
        return ("2", 2) if name == "source.bracket" else ("7", 7)
    if isinstance(default, tuple):
        return "person, car", ("person", "car")
    numbers = {
        "detection.every": 3,
        "temperature.emissivity": 0.9,
        "temperature.reflected_c": 20,
        "temperature.distance_m": 5,
        "temperature.air_c": 15,
        "temperature.humidity": 0.5,
        "temperature.alarm_above_c": 60,
        "temperature.alarm_below_c": -10,
    }
    if name in numbers:
        return str(numbers[name]), numbers[name]
    choices = {
        "device": "cpu",
        "prior": "clip",
        "priors.second": "clip",
        "sync.master": "thermal",
        "sync.on_missing_thermal": "hold",
        "sync.on_missing_visible": "skip",
        "thermal.agc": "off",
        "thermal.unit": "kelvin",
        "thermal.crop": "upper",
        "thermal.polarity": "black_hot",
        "registration.refine": "on",
        "registration.on_low_confidence": "soften",
        "memory.mode": "online",
        "scene_memory.mode": "off",
        "engine.endpoint": "tcp://127.0.0.1:5570",
        "detection.input": "large",
        "detection.output_format": "yolov8",
        "engine.kind": "onnx",
        "engine.provider": "cpu",
        "temperature.alarm_by": "mean",
        "mask.source": "none",
        "mask.box": "10,20,30,40",
    }
    return (choices.get(name, "2024-01-01"),) * 2


@pytest.mark.parametrize("name", sorted(setting_types(Config).keys() - {"options"}))
def test_set_reaches_every_setting(name):
    text, value = another_value(name)
    assert value_of(Config(), name) != value
    assert value_of(read_config(None, {}, [f"{name}={text}"]), name) == value


def test_options_of_the_model_take_yaml_values():
    texts = ["options.gain=0.5", "options.name=fine", "options.steps=3", "options.sharp=true"]
    options = read_config(None, {}, texts).options
    assert options == {"gain": 0.5, "name": "fine", "steps": 3, "sharp": True}
    assert [type(value) for value in options.values()] == [float, str, int, bool]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "config.yaml"
    content = {"model": "m2pn", "sync": {"max_skew_ms": 10, "wait_ms": 20}, "options": {"gain": 2}}
    path.write_text(yaml.safe_dump(content))
    return path


def test_the_command_line_replaces_values_of_the_file_and_keeps_the_others(file):
    texts = ["sync.max_skew_ms=40", "options.steps=3"]
    config = read_config(file, {"device": "cpu", "memory.file": "bank", "prior": None}, texts)
    assert (config.model, config.device, config.prior) == ("m2pn", "cpu", "embedded")
    assert (config.sync.max_skew_ms, config.sync.wait_ms) == (40, 20)
    assert (config.options, config.memory.file) == ({"gain": 2, "steps": 3}, "bank")


def test_set_on_top_of_a_rig_file(tmp_path):
    path = tmp_path / "rig.yaml"
    path.write_text("homography: [[1, 0, 0], [0, 1, 0], [0, 0, 1]]\n")
    config = read_config(path, {}, ["registration.refine=off"])
    assert (config.calibration, config.registration.refine) == (str(path), "off")


def test_the_same_value_twice_is_taken():
    config = read_config(None, {"model": "mdaif"}, ["model=mdaif", "threads=2", "threads=2"])
    assert (config.model, config.threads) == ("mdaif", 2)


@pytest.mark.parametrize(
    ("flags", "texts", "words"),
    [
        ({}, ["sync.max_skew_ms=40", "sync.max_skew_ms=41"], ["'sync.max_skew_ms'", "40", "41"]),
        ({"model": "m2pn"}, ["model=mdaif"], ["'model' is given twice", "'m2pn'", "'mdaif'"]),
        ({"mask.file": "a"}, ["mask.file=b"], ["'mask.file' is given twice"]),
        ({}, ["sync.max_skw_ms=4"], ["'sync.max_skw_ms'", "did you mean 'sync.max_skew_ms'"]),
        ({}, ["max_skew_ms=4"], ["'max_skew_ms'", "did you mean 'sync.max_skew_ms'"]),
        ({}, ["sync.slack_ms=4"], ["'sync.slack_ms' is now called 'sync.max_skew_ms'"]),
        ({}, ["sync.max_skew_ms=4000"], ["sync.max_skew_ms = 4000", "less than or equal to 1000"]),
        ({}, ["threads=two"], ["threads = 'two'", "integer"]),
        ({}, ["threads="], ["threads = ''", "integer"]),
        ({}, ["threads=[1"], ["--set threads=[1", "not a YAML value"]),
        ({}, ["threads"], ["--set threads", "expected KEY=VALUE"]),
        ({}, ["=3"], ["--set =3", "expected KEY=VALUE"]),
        ({}, ["sync={wait_ms: 3}"], ["'sync' is a block", "sync.wait_ms"]),
        ({}, ["options={gain: 3}"], ["'options' is a block", "options.NAME"]),
        ({}, ["model.name=3"], ["model"]),
        ({}, ["sync.wait_ms.x=3"], ["'sync.wait_ms.x'"]),
        ({}, ["options.gain=[1]"], ["options.gain = [1]"]),
        ({"device": "tpu"}, [], ["command line: device = 'tpu'"]),
    ],
)
def test_what_is_wrong_is_named(flags, texts, words):
    with pytest.raises(ConfigError) as caught:
        read_config(None, flags, texts)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message
