import dataclasses
import json

import pytest
import yaml

from fusion_core.config import Config
from fusion_core.errors import ConfigError
from fusion_core.masks import MaskConfig


def test_defaults_survive_a_yaml_round_trip(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(Config().to_dict()))
    assert Config.load(path) == Config()


def test_values_survive_a_yaml_round_trip(tmp_path):
    path = tmp_path / "config.yaml"
    config = Config(
        model="mdaif",
        mask=MaskConfig(labels="person, car"),
        options={"gain": 0.5, "name": "x", "steps": 3, "sharp": True},
    )
    path.write_text(yaml.safe_dump(config.to_dict()))
    assert Config.load(path) == config
    assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_empty_file_means_defaults(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("")
    assert Config.load(path) == Config()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"modle": "m2pn"}, ["unknown key 'modle'", "model"]),
        ({"sync": {"slak_ms": 3}}, ["unknown key 'sync.slak_ms'", "max_skew_ms"]),
        ({"sync": {"max_skew_ms": -1}}, ["sync.max_skew_ms = -1", "greater than or equal to 0"]),
        ({"sync": {"max_skew_ms": "soon"}}, ["sync.max_skew_ms = 'soon'", "number"]),
        ({"device": "tpu"}, ["device = 'tpu'", "'auto', 'cpu' or 'cuda'"]),
        ({"sync": 3}, ["sync = 3", "max_skew_ms"]),
        ({"max_skew_ms": 3}, ["unknown key 'max_skew_ms'", "did you mean 'sync.max_skew_ms'?"]),
        ({"sync": {"max_skew": 3}}, ["did you mean 'sync.max_skew_ms'?"]),
        ([3], ["[3]: expected a mapping"]),
    ],
)
def test_wrong_values_are_named_with_what_is_allowed(data, words):
    with pytest.raises(ConfigError) as caught:
        Config.from_dict(data)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


@pytest.mark.parametrize("text", ["sync: [", "- a\n- b\n", "\x00"])
def test_malformed_file_is_one_clear_line(tmp_path, text):
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"broken\.yaml: ") as caught:
        Config.load(path)
    assert "\n" not in str(caught.value)


def test_missing_file_is_named():
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: cannot be read"):
        Config.load("nowhere.yaml")


def test_overrides_win_over_the_file_and_none_means_not_given(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("model: m2pn\ndevice: cpu\n")
    config = Config.load(path, model="m2pn-edge", device=None)
    assert (config.model, config.device) == ("m2pn-edge", "cpu")


@pytest.mark.parametrize(("word", "value"), [("on", "on"), ("off", "off"), ("auto", "auto")])
def test_a_bare_on_or_off_in_yaml_is_the_word(tmp_path, word, value):
    path = tmp_path / "config.yaml"
    path.write_text(f"registration: {{refine: {word}}}\n", encoding="utf-8")
    assert Config.load(path).registration.refine == value


def test_a_rig_file_alone_is_a_configuration(tmp_path):
    path = tmp_path / "rig.yaml"
    path.write_text("homography: [[1, 0, 0], [0, 1, 0], [0, 0, 1]]\n")
    assert Config.load(path) == Config(calibration=str(path))


def test_every_field_has_a_description_for_the_ros_parameters():
    def descriptions(block):
        for field in dataclasses.fields(block):
            value = getattr(block, field.name)
            if dataclasses.is_dataclass(value):
                yield from descriptions(value)
            else:
                yield field.name, "description=" in str(field.type)

    assert all(found for _, found in descriptions(Config()))
