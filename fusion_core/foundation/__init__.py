"""Pre-trained foundation models, frozen: loaded from this machine, held, and identified."""

from fusion_core.foundation.fingerprint import fingerprint
from fusion_core.foundation.frozen_model import FrozenModel, load_frozen
from fusion_core.foundation.kinds import FOUNDATIONS, FoundationKind
from fusion_core.foundation.packaged import packaged_weights

__all__ = [
    "FOUNDATIONS",
    "FoundationKind",
    "FrozenModel",
    "fingerprint",
    "load_frozen",
    "packaged_weights",
]
