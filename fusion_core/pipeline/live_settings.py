"""Which settings may change while the stream goes on, and what they are then."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal

from fusion_core.config import Config
from fusion_core.engine.exported import exported_models
from fusion_core.errors import ConfigError
from fusion_core.inference import is_installed
from fusion_core.models.features import VISIBLE_INFRARED
from fusion_core.models.options import OptionField, describe_option
from fusion_core.pipeline.builders import option_fields
from fusion_core.runtime.live_setting import LiveSetting, Scalar
from fusion_core.runtime.settings import setting_types

if TYPE_CHECKING:
    from fusion_core.models.features import Features

_MODEL: Final = "model"
_OPTIONS: Final = "options"
# A network that runs on a server keeps the settings that it began with.
_OF_NETWORK: Final = (_MODEL, "temporal_smoothing", "adapt.correct_inputs")
LIVE_NAMES: Final = (
    *_OF_NETWORK,
    "text",
    "mask.source",
    "detection.score_threshold",
)
"""Settings that may change while the stream goes on, beside the options of the model."""


def live_settings(config: Config) -> tuple[LiveSetting, ...]:
    """Return what may change, with the values in force.

    Left out are settings of parts that the configuration does not have, and options that are text:
    those name what is loaded at the start.
    """
    kinds = setting_types(Config)
    names = [name for name in LIVE_NAMES if _has_part(config, name)]
    options = [(field, config.options.get(field.name)) for field in option_fields(config)]
    return (
        *(_setting(config, name, kinds[name]) for name in names),
        *(
            _described(field, f"{_OPTIONS}.{field.name}", field.default if value is None else value)
            for field, value in options
            if not isinstance(field.default, str)
        ),
    )


def changed(config: Config, changes: Mapping[str, Scalar]) -> Config:
    """Return a configuration with some settings changed; a new model begins with default options.

    Args:
        config: What is in force.
        changes: Full name of a setting -> value.

    Raises:
        ConfigError: A setting does not exist or may not change now, or a value is wrong.
    """
    values = config.to_dict()
    if changes.get(_MODEL, config.model) != config.model:
        values[_OPTIONS] = {}
    for name, value in changes.items():
        block, _, leaf = name.rpartition(".")
        (values.setdefault(block, {}) if block else values)[leaf] = value
    after = Config.from_dict(values, "change")
    known = [setting.name for setting in live_settings(after)]
    for name, value in changes.items():
        if name not in known:
            raise ConfigError(
                f"{name} = {value!r}: takes effect at the start; what can be changed while the "
                f"stream goes on: {', '.join(known)}"
            )
    return after


def _has_part(config: Config, name: str) -> bool:
    if config.engine.endpoint and name in _OF_NETWORK:
        return False
    return config.detector != "none" or not name.startswith("detection.")


def _setting(config: Config, name: str, kind: object) -> LiveSetting:
    block, _, leaf = name.rpartition(".")
    value = getattr(getattr(config, block) if block else config, leaf)
    annotated = typing.get_args(kind)[0]
    choices = typing.get_args(annotated) if typing.get_origin(annotated) is Literal else ()
    if name == _MODEL:
        choices = _models(config)
    return _described(describe_option(leaf, value, kind), name, value, choices)


def _described(
    field: OptionField, name: str, value: Scalar, choices: tuple[str, ...] = ()
) -> LiveSetting:
    return LiveSetting(name, value, field.description, choices, field.low, field.high)


def _models(config: Config) -> tuple[str, ...]:
    """Return the models that a stream can use, with the one in force."""
    if not is_installed("torch"):
        return tuple(dict.fromkeys((config.model, *exported_models())))
    from fusion_core.models import find_models

    automatic = () if config.prior == "none" else ("auto",)
    return tuple(dict.fromkeys((config.model, *find_models(_fuses_streams), *automatic)))


def _fuses_streams(features: Features) -> bool:
    return VISIBLE_INFRARED in features.tasks and not features.needs & {"text", "edit"}
