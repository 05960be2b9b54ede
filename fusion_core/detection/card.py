"""What a model file states about itself: classes, thresholds, input."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from fusion_core.detection.settings import OutputFormatName
from fusion_core.errors import DetectorError
from fusion_core.runtime.yaml_file import read_mapping

_SHOWN: Final = 100  # characters of a wrong value in a message


@dataclass(frozen=True)
class Card:
    """What is known of a detector beside its graph.

    Attributes:
        names: Class number -> name; empty when the file states none.
        input: ``pair``: visible red, green, blue and thermal luminance; ``fused``: an image.
        output_format: One of ``OUTPUT_FORMATS``, or ``auto``.
        conf: Least score of a detection.
        iou: Overlap above which two boxes of a class are one.
    """

    __pydantic_config__ = ConfigDict(extra="ignore")

    names: dict[int, str] = field(default_factory=dict)
    input: Literal["fused", "pair"] = "fused"
    output_format: OutputFormatName = "auto"
    conf: Annotated[float, Field(ge=0, le=1)] = 0.25
    iou: Annotated[float, Field(ge=0, le=1)] = 0.45


def read_card(path: Path, metadata: Mapping[str, str]) -> Card:
    """Return the card of a model.

    Args:
        path: The model; a YAML file of the same stem beside it wins over the metadata.
        metadata: The ``metadata_props`` of the ONNX file, as Ultralytics and others write them.

    Raises:
        DetectorError: A value cannot be understood.
    """
    beside = path.with_suffix(".yaml")
    origin = beside if beside.is_file() else path
    values: dict[str, Any] = {key: _literal(value) for key, value in metadata.items()}
    if beside.is_file():
        values |= read_mapping(beside, DetectorError)
    if isinstance(values.get("names"), list):
        values["names"] = dict(enumerate(values["names"]))
    if "decoder" in values:
        raise DetectorError(f"{origin}: 'decoder' is now called 'output_format': rename it")
    if values.get("task", "detect") != "detect":
        task = str(values["task"])[:_SHOWN]
        raise DetectorError(f"{path}: its task is {task!r}; export the model for task 'detect'")
    try:
        return TypeAdapter(Card).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        value = " ".join(repr(first["input"]).split())[:_SHOWN]
        raise DetectorError(f"{origin}: {key} = {value}: {first['msg']}") from None


def _literal(text: str) -> Any:  # noqa: ANN401 - whatever the text spells
    """Return what a piece of metadata spells; text that spells nothing is itself."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text
