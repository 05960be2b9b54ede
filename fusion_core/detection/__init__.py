"""Objects in fused pictures: ONNX detectors, identities across frames."""

from fusion_core.detection.class_names import ClassNames
from fusion_core.detection.detector import Detector
from fusion_core.detection.runner import DetectionRunner
from fusion_core.detection.settings import DetectionConfig

__all__ = ["ClassNames", "DetectionConfig", "DetectionRunner", "Detector"]
