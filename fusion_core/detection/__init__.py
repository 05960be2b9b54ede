"""Objects in fused pictures: ONNX detectors, identities across frames, temperatures."""

from fusion_core.detection.detector import Detector
from fusion_core.detection.settings import DetectionConfig
from fusion_core.detection.stage import DetectionStage

__all__ = ["DetectionConfig", "DetectionStage", "Detector"]
