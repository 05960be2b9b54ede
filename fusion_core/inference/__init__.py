"""Networks as ONNX files, executed by ONNX Runtime or OpenVINO."""

from fusion_core.inference.opening import open_session
from fusion_core.inference.packages import is_installed
from fusion_core.inference.session import Arrays, Session, SessionConfig

__all__ = ["Arrays", "Session", "SessionConfig", "is_installed", "open_session"]
