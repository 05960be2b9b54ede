"""MMAIF: a latent transformer that fuses and restores as a sentence says."""

from fusion_core.models.mmaif.config import PAPER, ROBOT, MMAIFConfig, MMAIFOptions
from fusion_core.models.mmaif.network import MMAIF, Wished

__all__ = ["MMAIF", "PAPER", "ROBOT", "MMAIFConfig", "MMAIFOptions", "Wished"]
