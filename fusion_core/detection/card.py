"""What a model file says of itself: classes, thresholds, input."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from fusion_core.detection.coco import COCO_NAMES, COCO_NUMBERS
from fusion_core.detection.settings import OutputFormatName
from fusion_core.errors import DetectorError
from fusion_core.runtime.yaml_file import read_mapping


@dataclass(frozen=True)
class Card:
    """What is known of a detector beside its graph.

    Attributes:
        names: Class number -> name; empty when the file does not say.
        input: ``pair``: visible red, green, blue and thermal luminance; ``fused``: a picture.
        decoder: OutputFormat of the outputs, one of ``forms.FORMS`` or ``auto``.
        conf: Least score of a detection.
        iou: Overlap above which two boxes of a class are one.
    """

    __pydantic_config__ = ConfigDict(extra="ignore")

    names: dict[int, str] = field(default_factory=dict)
    input: Literal["fused", "pair"] = "fused"
    decoder: OutputFormatName = "auto"
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
    if values.get("task", "detect") != "detect":
        raise DetectorError(
            f"{path}: its task is {values['task']!r}; export the model for task 'detect'"
        )
    try:
        return TypeAdapter(Card).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise DetectorError(f"{origin}: {key} = {first['input']!r}: {first['msg']}") from None


def _literal(text: str) -> Any:  # noqa: ANN401 - whatever the text spells
    """Return what a piece of metadata spells; text that spells nothing is itself."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def class_names(card: Card, classes: int) -> Mapping[int, str]:
    """Return class number -> name; where the model does not say, COCO's by their number.

    80 classes are COCO's in order, 90 or 91 its category numbers; others are named by number.
    """
    if card.names:
        return card.names
    if classes == len(COCO_NAMES):
        return dict(enumerate(COCO_NAMES))
    if classes in {90, 91}:
        return dict(zip(COCO_NUMBERS, COCO_NAMES, strict=True))
    return {}
