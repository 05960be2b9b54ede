"""Scene priors: what degrades a scene, assessed by a provider in the background."""

from fusion_core.priors.change import signature_of
from fusion_core.priors.factory import open_provider
from fusion_core.priors.kinds import KINDS, THERMAL_KINDS, VISIBLE_KINDS
from fusion_core.priors.provider import Assessment, PriorProvider, assess_pair
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
    "signature_of",
]
