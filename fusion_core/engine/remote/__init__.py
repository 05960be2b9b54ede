"""Networks on a server: what a pipeline uses in their place. Free of torch."""

from fusion_core.engine.remote.engine import RemoteEngine
from fusion_core.engine.remote.provider import RemoteProvider

__all__ = ["RemoteEngine", "RemoteProvider"]
