"""The temperature at a point, or what the thermal camera gives instead."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fusion_core.masks.marks import Point
from fusion_core.types import FusedFrame

_REACH: Final = 1  # pixels around the point whose median is shown


def reading(fused: FusedFrame, point: Point, *, registered: bool) -> dict[str, Any]:
    """Return what is measured at a point.

    Args:
        fused: The result.
        point: Where, in shares of the picture.
        registered: Whether the camera's own pixels lie where those of the result do.

    Returns:
        ``celsius``, or ``counts`` of a camera without radiometry, or the ``brightness`` in [0, 1]
        where the raw value of the point is not at hand; empty where the camera does not see it.
    """
    aligned = fused.aligned
    rows, columns = aligned.valid.shape
    row, column = min(int(point[1] * rows), rows - 1), min(int(point[0] * columns), columns - 1)
    if aligned.thermal is None or not aligned.valid[row, column]:
        return {}
    around = (
        slice(max(0, row - _REACH), row + _REACH + 1),
        slice(max(0, column - _REACH), column + _REACH + 1),
    )
    seen = aligned.valid[around]
    if aligned.temperature is not None:
        return _median("celsius", aligned.temperature[around][seen])
    raw = None if fused.pair.thermal is None else fused.pair.thermal.image
    if registered and raw is not None and raw.shape == aligned.valid.shape:
        return _median("counts", raw[around][seen])
    return _median("brightness", aligned.thermal[around][seen])


def _median(name: str, values: NDArray[Any]) -> dict[str, Any]:
    """Return the median of the values that are known by its name, nothing without any."""
    known = values[np.isfinite(values)]
    return {name: round(float(np.median(known)), 3)} if known.size else {}
