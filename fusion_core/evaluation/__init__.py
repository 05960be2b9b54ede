"""Scoring of fusion methods on folders of registered pairs."""

from fusion_core.evaluation.html import write_html
from fusion_core.evaluation.methods import (
    BaselineMethod,
    FolderMethod,
    Method,
    ModelMethod,
    baseline_methods,
)
from fusion_core.evaluation.pairs import (
    ImagePair,
    PairPaths,
    dataset_name,
    list_pairs,
    read_pair,
)
from fusion_core.evaluation.scoring import (
    DEFAULT_METRICS,
    Evaluation,
    ImageScores,
    MethodScores,
    evaluate,
    write_json,
)

__all__ = [
    "DEFAULT_METRICS",
    "BaselineMethod",
    "Evaluation",
    "FolderMethod",
    "ImagePair",
    "ImageScores",
    "Method",
    "MethodScores",
    "ModelMethod",
    "PairPaths",
    "baseline_methods",
    "dataset_name",
    "evaluate",
    "list_pairs",
    "read_pair",
    "write_html",
    "write_json",
]
