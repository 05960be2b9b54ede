"""Objects in fused pictures: ONNX detectors, identities across frames, temperatures."""

from fusion_core.detection.detector import Detector
from fusion_core.detection.runner import DetectionRunner
from fusion_core.detection.settings import DetectionConfig

__all__ = ["DetectionConfig", "DetectionRunner", "Detector"]
