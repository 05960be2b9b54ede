"""Scoring of fusion methods on folders of registered pairs."""

from fusion_lab.evaluation.detecting import DetectionScores, score_by_detection
from fusion_lab.evaluation.html import write_html
from fusion_lab.evaluation.methods import (
    BaselineMethod,
    ColourMethod,
    FolderMethod,
    Method,
    ModelMethod,
    baseline_methods,
    task_methods,
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
from fusion_lab.evaluation.video_sets import (
    ClipScores,
    clips_dict,
    evaluate_clips,
    mean_scores,
)

__all__ = [
    "DEFAULT_METRICS",
    "BaselineMethod",
    "ClipScores",
    "ColourMethod",
    "DetectionScores",
    "Evaluation",
    "FolderMethod",
    "ImageScores",
    "Method",
    "MethodScores",
    "ModelMethod",
    "StreamScores",
    "baseline_methods",
    "clips_dict",
    "default_metrics",
    "evaluate",
    "evaluate_clips",
    "evaluate_stream",
    "has_targets",
    "mean_scores",
    "score_by_detection",
    "stream_dict",
    "task_methods",
    "write_html",
    "write_json",
]
