"""Configuration: plain frozen data with defaults, checked once, written beside the results.

Each room has its own block, defined in the room itself. Every field carries its description and
range, from which the ROS node declares its parameters; names and defaults are therefore the same
everywhere.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from fusion_core.detection.settings import DetectionConfig
from fusion_core.engine.settings import AdaptConfig
from fusion_core.errors import ConfigError
from fusion_core.masks.settings import MaskConfig
from fusion_core.memory.settings import MemoryConfig
from fusion_core.priors.settings import PriorsConfig
from fusion_core.registration.settings import RegistrationConfig
from fusion_core.runtime.yaml_file import read_mapping
from fusion_core.sync.settings import SyncConfig
from fusion_core.thermal.settings import ThermalConfig

_STRICT = ConfigDict(extra="forbid")
_RIG_KEYS = {"homography", "visible", "T_thermal_rgb"}


@dataclass(frozen=True)
class Config:
    """Everything that steers the pipeline."""

    __pydantic_config__ = _STRICT

    model: Annotated[
        str,
        Field(description="One of `fusion models`, auto: the prior picks, or a checkpoint's path."),
    ] = "m2pn-edge"
    device: Annotated[
        Literal["auto", "cpu", "cuda"],
        Field(description="Where the network runs; auto: cuda when present."),
    ] = "auto"
    threads: Annotated[
        int, Field(ge=0, le=256, description="CPU threads of the network; 0: all cores.")
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
        str, Field(description="Object detector: default (the shipped one), none or FILE.onnx.")
    ] = "default"
    calibration: Annotated[
        str, Field(description="Rig file; empty: the images are already registered.")
    ] = ""
    sync: SyncConfig = field(default_factory=SyncConfig)
    thermal: ThermalConfig = field(default_factory=ThermalConfig)
    registration: RegistrationConfig = field(default_factory=RegistrationConfig)
    memory: MemoryConfig = field(default_factory=MemoryConfig)
    detection: DetectionConfig = field(default_factory=DetectionConfig)
    priors: PriorsConfig = field(default_factory=PriorsConfig)
    adapt: AdaptConfig = field(default_factory=AdaptConfig)
    mask: MaskConfig = field(default_factory=MaskConfig)
    options: Annotated[
        Mapping[str, str | int | float | bool],
        Field(description="Options of the model; docs/models.md lists them."),
    ] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, data: dict[str, Any], origin: str = "configuration") -> Config:
        """Check a nested mapping and return the configuration.

        Args:
            data: Nested plain values; missing keys take their defaults.
            origin: Where the data came from, for the error message.

        Raises:
            ConfigError: A key is unknown, or a value has the wrong type or range.
        """
        try:
            return TypeAdapter(cls).validate_python(data)
        except ValidationError as error:
            raise ConfigError(_explain(error, origin)) from None

    @classmethod
    def load(cls, path: str | Path, **overrides: object) -> Config:
        """Read a YAML file: a configuration, or a rig file, which configures the registration.

        Args:
            path: YAML file.
            overrides: Top-level values that win over the file's; None means not given.

        Raises:
            ConfigError: The file is missing or malformed, or a value is wrong.
        """
        path = Path(path)
        data = read_mapping(path, ConfigError)
        if _RIG_KEYS & data.keys():
            data = {"calibration": str(path)}
        data.update({key: value for key, value in overrides.items() if value is not None})
        return cls.from_dict(data, str(path))

    def to_dict(self) -> dict[str, Any]:
        """Return the nested plain values, fit for YAML and JSON."""
        return dataclasses.asdict(self)


def _explain(error: ValidationError, origin: str) -> str:
    """Return one line that names the first wrong key, its value and what is allowed."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] in {"unexpected_keyword_argument", "extra_forbidden"}:
        known = ", ".join(_known_keys(first["loc"][:-1]))
        return f"{origin}: unknown key {key!r}; known keys here: {known}"
    return f"{origin}: {key} = {first['input']!r}: {first['msg'].lower()}"


def _known_keys(location: tuple[int | str, ...]) -> list[str]:
    """Return the keys of the block at ``location``."""
    block: Any = Config()
    for part in location:
        block = getattr(block, str(part))
    return [entry.name for entry in dataclasses.fields(block)]
