"""Scoring of fusion methods on folders of registered pairs."""

from fusion_lab.evaluation.detecting import DetectionScores, score_by_detection
from fusion_lab.evaluation.html import write_html
from fusion_lab.evaluation.methods import (
    BaselineMethod,
    FolderMethod,
    Method,
    ModelMethod,
    baseline_methods,
)
from fusion_lab.evaluation.scoring import (
    DEFAULT_METRICS,
    Evaluation,
    ImageScores,
    MethodScores,
    default_metrics,
    evaluate,
    has_targets,
    write_json,
)
from fusion_lab.evaluation.streams import StreamScores, evaluate_stream, stream_dict

__all__ = [
    "DEFAULT_METRICS",
    "BaselineMethod",
    "DetectionScores",
    "Evaluation",
    "FolderMethod",
    "ImageScores",
    "Method",
    "MethodScores",
    "ModelMethod",
    "StreamScores",
    "baseline_methods",
    "default_metrics",
    "evaluate",
    "evaluate_stream",
    "has_targets",
    "score_by_detection",
    "stream_dict",
    "write_html",
    "write_json",
]
