"""Every setting refuses what it cannot be, from a file, a keyword and ``dataclasses.replace``."""

import dataclasses
import typing

import pytest

from fusion_core.config import REMOVED, RENAMED, Config
from fusion_core.errors import ConfigError
from fusion_core.runtime.settings import setting_types

# Written down from the units and ranges that the settings document: below, above, not of the type.
OUT_OF_RANGE = {
    "threads": (-1, 257, 1.5, "many", True, None),
    "temporal_smoothing": (-0.01, 1.0, "much", True, float("nan")),
    "source.bracket": (0, 4, 2.5, "two", None),
    "sync.max_skew_ms": (-1, 1001, "soon", False, float("inf")),
    "sync.visible_offset_ms": (-2e13, 2e13, [1], "auto", float("nan")),
    "sync.thermal_offset_ms": (-2e13, 2e13, {"ms": 1}, "soon", True, float("inf")),
    "sync.max_age_ms": (-1, 5001, "old"),
    "sync.wait_ms": (-0.5, 1000.5, None),
    "thermal.smoothing_s": (-1, 61, ""),
    "thermal.midtone": (0, 1.01, "gray"),
    "thermal.scale": (0, 1001, "kelvin"),
    "thermal.offset": (-10_001, 10_001, True),
    "thermal.freeze_frames": (-1, 1001, 2.5),
    "registration.range_px": (0, 101, "far"),
    "registration.min_confidence": (-0.1, 1.1, "high"),
    "memory.save_every_s": (-1, 86_401, "daily"),
    "scene_memory.places": (0, 65, 2.5),
    "scene_memory.max_age_s": (0, 86_401, "old"),
    "scene_memory.tint": ("maybe", 3, None),
    "detection.score_threshold": (-0.1, 1.1, "half"),
    "detection.every": (0, 101, 1.5, "often", None),
    "detection.input": ("huge", 2, None),
    "detection.tiles": (0, 9, 1.5, "many", None),
    "temperature.emissivity": (0, 1.01, "shiny", True, None),
    "temperature.reflected_c": (-101, 3001, "warm", True, float("nan")),
    "temperature.distance_m": (-1, 10_001, "far"),
    "temperature.air_c": (-101, 3001, [1]),
    "temperature.humidity": (-0.1, 1.1, "wet"),
    "temperature.percentile": (-1, 101, "most"),
    "temperature.alarm_above_c": (-101, 3001, "hot", True, None),
    "temperature.alarm_below_c": (-101, 3001, "auto"),
    "temperature.alarm_hysteresis_k": (-1, 1001, "some"),
    "temperature.alarm_after_s": (-1, 3601, None),
    "temperature.alarm_labels": ("person,,car", 3, None),
    "priors.refresh_s": (-1, 3601, "often"),
    "priors.timeout_s": (0, 3601, None),
    "mask.hold_s": (-1, 3601, "long"),
    "thermal.dead_pixels": ("maybe", 2, None),
    "thermal.destripe": ("maybe", 0.5, []),
    "thermal.yuyv_counts": ("maybe", 16, None),
    "detection.track": ("maybe", -1, None),
    "adapt.correct_inputs": ("maybe", 7, None),
    "view.serve": ("maybe", 3, None),
    "view.port": (-1, 65_536, 80.5, "http"),
    "options": (3, [1], {"gain": None}, {"gain": [1]}, {1: 2}),
    "detection.labels": ("person,,car", 3, [1], [""], None),
    "mask.labels": (",", True, ["a", None]),
}
CHOICES = {
    name: typing.get_args(typing.get_args(kind)[0])
    for name, kind in setting_types(Config).items()
    if typing.get_origin(typing.get_args(kind)[0]) is typing.Literal
}
TEXTS = {name for name, kind in setting_types(Config).items() if typing.get_args(kind)[0] is str}
WRONG = [
    *((name, value) for name, values in OUT_OF_RANGE.items() for value in values),
    *((name, value) for name in CHOICES for value in ("nonsense", 3, None)),
    *((name, value) for name in sorted(TEXTS) for value in (3, True, None, ["a"])),
]


def nested(name, value):
    block, _, leaf = name.rpartition(".")
    return {block: {leaf: value}} if block else {leaf: value}


def test_the_table_has_every_setting():
    assert OUT_OF_RANGE.keys() | CHOICES.keys() | TEXTS == setting_types(Config).keys()


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_is_refused_in_one_line_however_it_is_given(name, value):
    block, _, leaf = name.rpartition(".")
    built = getattr(Config(), block) if block else Config()
    for build in (
        lambda: Config.from_dict(nested(name, value), "file.yaml"),
        lambda: type(built)(**{leaf: value}),
        lambda: dataclasses.replace(built, **{leaf: value}),
    ):
        with pytest.raises(ConfigError) as caught:
            build()
        message = str(caught.value)
        assert leaf in message
        assert "\n" not in message
    with pytest.raises(ConfigError, match=rf"^file\.yaml: {name}"):
        Config.from_dict(nested(name, value), "file.yaml")


@pytest.mark.parametrize("name", CHOICES)
def test_every_choice_is_taken(name):
    for choice in CHOICES[name]:
        Config.from_dict(nested(name, choice))


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("sync.max_skew_ms", 40, 40.0),
        ("threads", "2", 2),
        ("mask.labels", "person, car ", ("person", "car")),
        ("mask.labels", ["person"], ("person",)),
        ("detection.labels", "", ()),
        ("registration.refine", True, "on"),
        ("thermal.agc", False, "off"),
        ("options", {"gain": 0.5, "mode": "x", "count": 2, "sharp": True}, None),
    ],
)
def test_values_take_the_type_of_the_setting(name, value, kept):
    config = Config.from_dict(nested(name, value))
    block, _, leaf = name.rpartition(".")
    found = getattr(getattr(config, block) if block else config, leaf)
    expected = value if kept is None else kept
    assert found == expected
    assert type(found) is type(expected)


def test_a_block_must_be_a_block():
    with pytest.raises(ConfigError, match="sync = 3: expected a SyncConfig"):
        Config(sync=3)
    with pytest.raises(ConfigError, match=r"mask = .*: expected a MaskConfig"):
        dataclasses.replace(Config(), mask=Config().sync)


def test_a_path_is_text(tmp_path):
    assert Config(calibration=tmp_path / "rig.yaml").calibration == f"{tmp_path}/rig.yaml"


@pytest.mark.parametrize("name", sorted(RENAMED))
def test_a_former_name_is_refused_with_the_new_one(name):
    with pytest.raises(ConfigError, match=f"'{name}' is now called '{RENAMED[name]}'"):
        Config.from_dict(nested(name, 1))


@pytest.mark.parametrize("name", sorted(REMOVED))
def test_what_is_no_setting_any_more_is_refused(name):
    with pytest.raises(ConfigError, match=f"'{name}' is fixed and no longer a setting"):
        Config.from_dict(nested(name, 1))


def test_former_names_are_none_of_today_and_lead_to_one():
    known = setting_types(Config).keys()
    assert not known & (RENAMED.keys() | REMOVED)
    assert {name for name in RENAMED.values() if not name.startswith("options.")} <= known
