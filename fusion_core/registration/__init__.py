"""Registration of the thermal image onto the visible camera's pixel grid."""

from fusion_core.registration.align import Registrar
from fusion_core.registration.frame_rig import FrameRig, transform_depth
from fusion_core.registration.register import Registration, check_images, register
from fusion_core.registration.rig import Rig
from fusion_core.registration.settings import RegistrationConfig

__all__ = [
    "FrameRig",
    "Registrar",
    "Registration",
    "RegistrationConfig",
    "Rig",
    "check_images",
    "register",
    "transform_depth",
]
