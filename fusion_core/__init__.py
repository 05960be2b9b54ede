"""Fuse a robot's thermal and RGB camera streams, live.

The names below are loaded when first used, so that importing the package stays quick.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fusion_core.api import explain_images as explain_images
    from fusion_core.api import fuse as fuse
    from fusion_core.api import fuse_images as fuse_images
    from fusion_core.config import Config as Config
    from fusion_core.models import load_model as load_model
    from fusion_core.pipeline import Pipeline as Pipeline
    from fusion_core.registration import Registration as Registration
    from fusion_core.registration import register as register
    from fusion_core.source import open_source as open_source

__version__ = "0.1.0"

_MODULE_OF = {
    "Config": "fusion_core.config",
    "Pipeline": "fusion_core.pipeline",
    "Registration": "fusion_core.registration",
    "explain_images": "fusion_core.api",
    "fuse": "fusion_core.api",
    "fuse_images": "fusion_core.api",
    "load_model": "fusion_core.models",
    "open_source": "fusion_core.source",
    "register": "fusion_core.registration",
}
__all__ = [
    "Config",
    "Pipeline",
    "Registration",
    "__version__",
    "explain_images",
    "fuse",
    "fuse_images",
    "load_model",
    "open_source",
    "register",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the type is the exported object's own
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'fusion_core' has no attribute {name!r}")
    return getattr(import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    """Return what tab completion offers: the names above, and the parts imported so far."""
    parts = [name for name in globals() if f"{__name__}.{name}" in sys.modules]
    return sorted({*__all__, *parts})
