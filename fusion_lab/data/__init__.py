"""Data folders: registered pairs by task, decoded for training and evaluation."""

from fusion_lab.data.benchmarks import Clip, benchmark_clips
from fusion_lab.data.example import Example, aligned_pair, split_by_scene
from fusion_lab.data.labels import BoxLabels
from fusion_lab.data.layout import (
    LAYOUTS,
    FusionTask,
    Layout,
    PairFiles,
    dataset_name,
    images_by_stem,
    list_pairs,
    pair_files,
)
from fusion_lab.data.reading import Needs, read_example, read_examples, read_image

__all__ = [
    "LAYOUTS",
    "BoxLabels",
    "Clip",
    "Example",
    "FusionTask",
    "Layout",
    "Needs",
    "PairFiles",
    "aligned_pair",
    "benchmark_clips",
    "dataset_name",
    "images_by_stem",
    "list_pairs",
    "pair_files",
    "read_example",
    "read_examples",
    "read_image",
    "split_by_scene",
]
