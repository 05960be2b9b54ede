"""What degrades a scene: asked of a provider per scene, in the background."""

from fusion_core.priors.kinds import KINDS, THERMAL_KINDS, VISIBLE_KINDS
from fusion_core.priors.provider import Assessment, PriorProvider, assess_pair, open_provider
from fusion_core.priors.scheduler import PriorScheduler
from fusion_core.priors.settings import PriorsConfig

__all__ = [
    "KINDS",
    "THERMAL_KINDS",
    "VISIBLE_KINDS",
    "Assessment",
    "PriorProvider",
    "PriorScheduler",
    "PriorsConfig",
    "assess_pair",
    "open_provider",
]
