"""What degrades a scene: asked of a provider per scene, in the background."""

from fusion_core.priors.keeper import PriorKeeper
from fusion_core.priors.kinds import KINDS, THERMAL_KINDS, VISIBLE_KINDS
from fusion_core.priors.provider import Assessment, PriorProvider, assess_pair, open_provider
from fusion_core.priors.settings import PriorsConfig

__all__ = [
    "KINDS",
    "THERMAL_KINDS",
    "VISIBLE_KINDS",
    "Assessment",
    "PriorKeeper",
    "PriorProvider",
    "PriorsConfig",
    "assess_pair",
    "open_provider",
]
