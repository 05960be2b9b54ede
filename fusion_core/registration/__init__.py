"""Registration of the thermal image onto the visible camera's pixel grid."""

from fusion_core.registration.align import Registrar
from fusion_core.registration.rig import Rig

__all__ = ["Registrar", "Rig"]
