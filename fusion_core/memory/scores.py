"""Quality scores that come with a trained memory bank, as a line of JSON."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field, TypeAdapter

_SCORES: Final = TypeAdapter(tuple[Annotated[float, Field(allow_inf_nan=False)], ...])
NO_SCORES: Final = "[]"


def parse_scores(text: str) -> tuple[float, ...]:
    """Return the scores that a file names.

    Raises:
        pydantic.ValidationError: They are no finite numbers.
    """
    return _SCORES.validate_json(text)
