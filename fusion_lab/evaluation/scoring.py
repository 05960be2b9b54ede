"""Scores of methods over a set of pairs: per image, means, mean ranks."""

from __future__ import annotations

import json
import math
import os
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fusion_core.errors import UsageError
from fusion_core.runtime.files import atomic_path
from fusion_lab.data import FusionTask, PairFiles, read_example
from fusion_lab.evaluation.methods import Method
from fusion_lab.metrics import (
    HEADLINE,
    METRICS,
    TARGET_METRICS,
    compute_all,
    select_metrics,
    to_gray,
)

_RANKED: Mapping[FusionTask, tuple[str, ...]] = {
    "vif": HEADLINE,
    "mef": ("MEF_SSIM_2015", "Qabf", "VIF", "SSIM", "EN"),
    "mff": ("NMI", "Qabf", "VIF", "SSIM", "SF"),
}
_BESIDE: Mapping[FusionTask, tuple[str, ...]] = {
    "vif": ("NABF",),
    "mef": ("MEF_SSIM", "MS_SSIM", "FMI", "PSNR", "Qcb", "Qcv"),
    "mff": ("MI", "MS_SSIM", "FMI", "PSNR", "Qcb", "Qcv"),
}
DEFAULT_METRICS: tuple[str, ...] = (*HEADLINE, *_BESIDE["vif"])
"""The headline metrics, and the share of artefacts, which separates detail from noise."""


def default_metrics(pairs: Sequence[PairFiles]) -> tuple[str, ...]:
    """Return the metrics of the pairs' task; those of a target too where all pairs have one."""
    task = pairs[0].task
    names = (*_RANKED[task], *_BESIDE[task])
    return (*names, *TARGET_METRICS) if has_targets(pairs) else names


def has_targets(pairs: Sequence[PairFiles]) -> bool:
    """Return whether every pair has a target."""
    return all(files.target for files in pairs)


@dataclass(frozen=True, slots=True)
class ImageScores:
    """Scores of one fused image.

    Attributes:
        image: Stem of the pair.
        metrics: Metric -> value; nan where undefined.
    """

    image: str
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class MethodScores:
    """Scores of one method.

    Attributes:
        method: Its name.
        per_image: Scores in the order of the pairs.
        metrics: Metric -> mean over the images where it is defined, nan when nowhere.
    """

    method: str
    per_image: tuple[ImageScores, ...]
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Scores of all methods on one set of pairs.

    Attributes:
        dataset: Name of the data.
        methods: Scores in the order in which the methods were given.
        ranked: Metrics that mean ranks are taken over, as far as they were computed.
    """

    dataset: str
    methods: tuple[MethodScores, ...]
    ranked: tuple[str, ...] = HEADLINE

    def mean_ranks(self) -> dict[str, float]:
        """Return method -> mean rank over the ranked metrics; 1 is best.

        Equal values share the mean of their ranks; a value that is undefined ranks last.
        """
        names = [name for name in self.methods[0].metrics if name in self.ranked]
        columns = [
            _ranks([_merit(name, scores.metrics[name]) for scores in self.methods])
            for name in names
        ]
        return {
            scores.method: sum(column[i] for column in columns) / len(columns)
            if columns
            else math.nan
            for i, scores in enumerate(self.methods)
        }

    def among(self, images: Collection[str]) -> Evaluation:
        """Return the scores of some of the images alone."""
        kept = [
            (m.method, tuple(scores for scores in m.per_image if scores.image in images))
            for m in self.methods
        ]
        return replace(self, methods=tuple(_summed_up(name, scores) for name, scores in kept))

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON: one method flat, several as a list with mean ranks."""
        pairs = len(self.methods[0].per_image)
        head = {"dataset": self.dataset, "pairs": pairs}
        if len(self.methods) == 1:
            return {**head, **_plain(self.methods[0])}
        ranks = self.mean_ranks()
        entries = [
            {**head, **_plain(scores), "mean_rank": finite(ranks[scores.method])}
            for scores in self.methods
        ]
        return {**head, "methods": entries}


def evaluate(
    dataset: str,
    pairs: Sequence[PairFiles],
    methods: Sequence[Method],
    names: Sequence[str] = DEFAULT_METRICS,
    *,
    workers: int = 0,
    on_scored: Callable[[], object] | None = None,
) -> Evaluation:
    """Score each method on each pair.

    Fusing runs in the calling thread, one picture at a time; scoring in a thread pool.

    Args:
        dataset: Name of the data, for the result.
        pairs: At least one pair.
        methods: At least one method, each with its own name.
        names: Metrics to compute.
        workers: Threads that score; 0 for one per core.
        on_scored: Called after each scored picture.

    Raises:
        UsageError: Nothing to score, a repeated method name or an unknown metric.
        SourceError: A picture is missing, undecodable or of another size.
    """
    _check(pairs, methods)
    select_metrics(names)
    collected: dict[str, list[ImageScores]] = {method.name: [] for method in methods}
    threads = workers or os.cpu_count() or 1
    with ThreadPoolExecutor(threads) as pool:
        tasks = _submit_all(pool, pairs, methods, tuple(names))
        for name, stem, future in _bounded(tasks, 2 * threads):
            collected[name].append(ImageScores(stem, future.result()))
            if on_scored:
                on_scored()
    scores = tuple(_summed_up(name, tuple(found)) for name, found in collected.items())
    return Evaluation(dataset, scores, _RANKED[pairs[0].task])


def write_json(path: Path, scores: Mapping[str, Any]) -> None:
    """Write plain scores as JSON, whole or not at all."""
    text = json.dumps(scores, indent=1, allow_nan=False)
    with atomic_path(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


_Task = tuple[str, str, "Future[dict[str, float]]"]


def _check(pairs: Sequence[PairFiles], methods: Sequence[Method]) -> None:
    if not pairs or not methods:
        raise UsageError(
            f"nothing to score: {len(pairs)} pairs, {len(methods)} methods; give at least one each"
        )
    names = [method.name for method in methods]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise UsageError(f"two methods are named {repeated[0]!r}; rename one with NAME=DIR")


def _submit_all(
    pool: ThreadPoolExecutor,
    pairs: Sequence[PairFiles],
    methods: Sequence[Method],
    names: tuple[str, ...],
) -> Iterator[_Task]:
    for files in pairs:
        example = read_example(files)
        sources = to_gray(example.second), to_gray(example.first)
        target = None if example.target is None else to_gray(example.target)
        for method in methods:
            fused = to_gray(method.fuse(example))
            future = pool.submit(compute_all, fused, sources, names, target)
            yield method.name, example.name, future


def _bounded(tasks: Iterator[_Task], limit: int) -> Iterator[_Task]:
    """Yield tasks in order while at most ``limit`` wait, so that few pictures are held at once."""
    waiting: deque[_Task] = deque()
    for task in tasks:
        waiting.append(task)
        if len(waiting) >= limit:
            yield waiting.popleft()
    yield from waiting


def _summed_up(method: str, per_image: tuple[ImageScores, ...]) -> MethodScores:
    means = {}
    for name in per_image[0].metrics:
        values = [scores.metrics[name] for scores in per_image]
        defined = [value for value in values if not math.isnan(value)]
        means[name] = sum(defined) / len(defined) if defined else math.nan
    return MethodScores(method, per_image, means)


def _merit(name: str, value: float) -> float:
    if math.isnan(value):
        return -math.inf
    return value if METRICS[name].better == "higher" else -value


def _ranks(merits: Sequence[float]) -> list[float]:
    return [
        1.0 + sum(other > merit for other in merits) + (merits.count(merit) - 1) / 2.0
        for merit in merits
    ]


def _plain(scores: MethodScores) -> dict[str, Any]:
    return {
        "method": scores.method,
        "metrics": {name: finite(value) for name, value in scores.metrics.items()},
        "per_image": [
            {"image": s.image, **{name: finite(value) for name, value in s.metrics.items()}}
            for s in scores.per_image
        ],
    }


def finite(value: float) -> float | None:
    """Return a value as JSON can hold it: None for nan and infinities."""
    return value if math.isfinite(value) else None
