"""What a browser may send, checked before anything else sees it."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

LARGEST_MESSAGE: Final = 8192
"""Bytes of the longest message that is read."""
LONGEST_TEXT: Final = 500
LAYERS: Final = ("visible", "thermal", "fused")

_Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
_Point = tuple[_Share, _Share]
_Area = tuple[_Share, _Share, _Share, _Share]


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Hello(_Message):
    """The first message of a viewer."""

    kind: Literal["hello"]
    token: Annotated[str, Field(max_length=200)] = ""


class Show(_Message):
    """Which pictures to send, and how wide at most; none: nothing is encoded."""

    kind: Literal["show"]
    layers: Annotated[tuple[Literal["visible", "thermal", "fused"], ...], Field(max_length=3)]
    width: Annotated[int, Field(ge=64, le=8192)]


class Drawn(_Message):
    """A picture has been shown: the next may come."""

    kind: Literal["drawn"]
    frame: Annotated[int, Field(ge=0)]


class Probe(_Message):
    """Measure here in every picture; None: nowhere."""

    kind: Literal["probe"]
    point: _Point | None


class Mark(_Message):
    """Mark an area, or what lies at a point."""

    kind: Literal["mark"]
    area: _Area | None = None
    point: _Point | None = None


class Unmark(_Message):
    """Take all marks back, or one of them."""

    kind: Literal["unmark"]
    mark: int | None = None


class Text(_Message):
    """Describe the results that are wanted."""

    kind: Literal["text"]
    text: Annotated[str, Field(max_length=LONGEST_TEXT)]


class Change(_Message):
    """Change one setting."""

    kind: Literal["change"]
    name: Annotated[str, Field(max_length=100)]
    value: bool | int | float | Annotated[str, Field(max_length=LONGEST_TEXT)]


class Record(_Message):
    """Begin or end a recording."""

    kind: Literal["record"]
    on: bool


Message = Hello | Show | Drawn | Probe | Mark | Unmark | Text | Change | Record
_ADAPTER: Final[TypeAdapter[Message]] = TypeAdapter(Annotated[Message, Field(discriminator="kind")])


def read_message(text: str) -> Message:
    """Return a checked message.

    Raises:
        ValueError: It is none of those known here, or a value is out of range.
    """
    return _ADAPTER.validate_json(text)
