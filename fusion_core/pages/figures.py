"""Numbers as text."""

from __future__ import annotations

import json
import math
from typing import Any


def figure(value: float | str) -> str:
    """Return a number for the reader: three significant digits, at most three decimals."""
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    if not math.isfinite(value):
        return "–"
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    digits = 2 - math.floor(math.log10(abs(value)))
    return f"{value:.{min(digits, 3)}f}"


def plain(value: Any) -> str:  # noqa: ANN401
    """Return a value in full, as ``run.json`` shows it; text without quotes."""
    return value if isinstance(value, str) else json.dumps(value, default=str)
