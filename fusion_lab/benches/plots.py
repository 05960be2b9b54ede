"""Plots need matplotlib, which is optional."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from fusion_core.errors import missing_extra


def load_pyplot(path: Path) -> Any:  # noqa: ANN401 - an untyped module
    """Return ``matplotlib.pyplot`` for plots that are written to files, and make their folder.

    Args:
        path: The file that is to be plotted, for the message.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise missing_extra(f"{path}: a plot", "matplotlib", "report")
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    path.parent.mkdir(parents=True, exist_ok=True)
    return plt
