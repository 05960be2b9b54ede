"""The user's cache folder: what may be lost at any time, and is then made anew."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def cache_folder(name: str) -> Path:
    """Return a folder for one kind of cached files, made where it can be.

    It lies in ``$XDG_CACHE_HOME/fusion``, else in ``~/.cache/fusion``.
    """
    base = os.environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
    folder = Path(base) / "fusion" / name
    with contextlib.suppress(OSError):  # a robot's disk may be read-only: then nothing is kept
        folder.mkdir(parents=True, exist_ok=True)
    return folder
