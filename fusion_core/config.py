"""Configuration: plain frozen data with defaults, checked when built, written beside the results.

Each module has its own block, defined in the module itself. Every field carries its description and
range, from which the ROS node declares its parameters; names and defaults are therefore the same
everywhere.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from fusion_core.detection.settings import DetectionConfig
from fusion_core.engine.settings import AdaptConfig, EngineConfig
from fusion_core.errors import ConfigError
from fusion_core.masks.settings import MaskConfig
from fusion_core.memory.settings import MemoryConfig
from fusion_core.priors.settings import PriorsConfig
from fusion_core.registration.settings import RegistrationConfig
from fusion_core.runtime.settings import Settings, settings_from
from fusion_core.runtime.yaml_file import read_mapping
from fusion_core.scene_memory.settings import SceneMemoryConfig
from fusion_core.source.settings import SourceConfig
from fusion_core.sync.settings import SyncConfig
from fusion_core.temperature.settings import TemperatureConfig
from fusion_core.thermal.settings import ThermalConfig
from fusion_core.view.settings import ViewConfig

_RIG_KEYS: Final = frozenset({"homography", "visible", "T_thermal_rgb"})
RENAMED: Final[Mapping[str, str]] = {
    "stability": "temporal_smoothing",
    "sync.slack_ms": "sync.max_skew_ms",
    "sync.reuse_ms": "sync.max_age_ms",
    "adapt.sources": "adapt.correct_inputs",
    "detection.decoder": "detection.output_format",
    "mask.gain": "options.gain",
    "mask.segmenter_weights": "options.segmenter_weights",
}
"""Former name of a setting -> its name now."""
REMOVED: Final = frozenset(
    {
        "thermal.low_percentile",
        "thermal.high_percentile",
        "registration.period_s",
        "registration.rate_px_s",
        "memory.momentum",
        "memory.kappa",
        "detection.iou_threshold",
        "detection.track_keep_s",
        "priors.change",
        "priors.confirm_frames",
        "priors.question",
        "adapt.enter",
        "adapt.leave",
        "adapt.fade_frames",
    }
)
"""Former settings that are constants now."""


@dataclass(frozen=True)
class Config(Settings):
    """Everything that configures the pipeline."""

    model: Annotated[
        str,
        Field(
            description="One of `fusion models`, auto (selected by the scene prior), or the path of"
            " a checkpoint."
        ),
    ] = "m2pn-edge"
    device: Annotated[
        Literal["auto", "cpu", "cuda"],
        Field(description="Where the network runs; auto: cuda when present."),
    ] = "auto"
    threads: Annotated[
        int, Field(ge=0, le=256, description="CPU threads of all networks together; 0: all cores.")
    ] = 0
    temporal_smoothing: Annotated[
        float,
        Field(
            ge=0,
            lt=1,
            description="Share of the previous picture kept where nothing moves; 0: none.",
        ),
    ] = 0.7
    prior: Annotated[
        Literal["embedded", "clip", "blip2", "none"],
        Field(description="Provider of scene priors; clip and blip2 need the extra vlm."),
    ] = "embedded"
    detector: Annotated[
        str,
        Field(
            description="Object detector: default (pair-nano, which ships), pair-nano-aerial (the"
            " one that ships for the view from a drone), none or FILE.onnx."
        ),
    ] = "default"
    text: Annotated[
        str,
        Field(
            max_length=2000,
            description="What the picture shall show, in words, for models that read a text; empty:"
            " what looks wrong is removed.",
        ),
    ] = ""
    calibration: Annotated[
        str,
        Field(
            description="Rig file; tf: camera infos and /tf_static, images agreeing at 10 m, or as"
            " in tf:4.5 at another distance; empty: the images are already registered."
        ),
    ] = ""
    engine: EngineConfig = field(default_factory=EngineConfig)
    source: SourceConfig = field(default_factory=SourceConfig)
    sync: SyncConfig = field(default_factory=SyncConfig)
    thermal: ThermalConfig = field(default_factory=ThermalConfig)
    registration: RegistrationConfig = field(default_factory=RegistrationConfig)
    memory: MemoryConfig = field(default_factory=MemoryConfig)
    scene_memory: SceneMemoryConfig = field(default_factory=SceneMemoryConfig)
    detection: DetectionConfig = field(default_factory=DetectionConfig)
    temperature: TemperatureConfig = field(default_factory=TemperatureConfig)
    priors: PriorsConfig = field(default_factory=PriorsConfig)
    adapt: AdaptConfig = field(default_factory=AdaptConfig)
    mask: MaskConfig = field(default_factory=MaskConfig)
    view: ViewConfig = field(default_factory=ViewConfig)
    options: Annotated[
        Mapping[str, str | int | float | bool],
        Field(description="Options of the model in force, by name; the model checks them."),
    ] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, data: dict[str, Any], origin: str = "configuration") -> Config:
        """Check a nested mapping and return the configuration.

        Args:
            data: Nested plain values; missing keys take their defaults.
            origin: Where the data came from, for the error message.

        Raises:
            ConfigError: A key is unknown or was renamed, or a value has the wrong type or range.
        """
        _refuse_former(data, origin)
        return settings_from(cls, data, origin)

    @classmethod
    def load(cls, path: str | Path, **overrides: object) -> Config:
        """Read a YAML file: a configuration, or a rig file, which configures the registration.

        Args:
            path: YAML file.
            overrides: Values that replace the file's; a mapping replaces those keys of a block that
                it has. None means not given.

        Raises:
            ConfigError: The file is missing or malformed, or a value is wrong.
        """
        path = Path(path)
        data = read_mapping(path, ConfigError)
        if _RIG_KEYS & data.keys():
            data = {"calibration": str(path)}
        for key, value in overrides.items():
            if isinstance(value, Mapping) and isinstance(data.get(key), Mapping):
                data[key] = {**data[key], **value}
            elif value is not None:
                data[key] = value
        return cls.from_dict(data, str(path))

    def to_dict(self) -> dict[str, Any]:
        """Return the nested plain values, fit for YAML and JSON."""
        return dataclasses.asdict(self)


def _refuse_former(data: object, origin: str, prefix: str = "") -> None:
    """Raise for a setting that has another name now, or is none any more."""
    for key, value in data.items() if isinstance(data, Mapping) else ():
        name = f"{prefix}{key}"
        if name in RENAMED:
            raise ConfigError(f"{origin}: {name!r} is now called {RENAMED[name]!r}: rename it")
        if name in REMOVED:
            raise ConfigError(f"{origin}: {name!r} is fixed and no longer a setting: remove it")
        if not prefix:
            _refuse_former(value, origin, f"{name}.")
