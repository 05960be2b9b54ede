"""Multi-exposure and multi-focus fusion beside classical rules and others' published results."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tqdm import tqdm

from fusion_core.errors import UsageError
from fusion_core.models import find_models
from fusion_lab.benches.command import BenchCommand
from fusion_lab.benches.tables import Table
from fusion_lab.data import PairFiles, list_pairs
from fusion_lab.evaluation import (
    Evaluation,
    FolderMethod,
    Method,
    ModelMethod,
    default_metrics,
    evaluate,
    task_methods,
)


@dataclass(frozen=True, slots=True)
class MethodRow:
    """One method on one set.

    Attributes:
        method: Its name.
        mean_rank: Mean rank over the metrics of the task's ranking; 1 is best.
        metrics: Metric -> mean over the pairs.
    """

    method: str
    mean_rank: float
    metrics: dict[str, float]


@dataclass(frozen=True, slots=True)
class TaskScores:
    """All methods on one set.

    Attributes:
        task: ``mef`` or ``mff``.
        data: Name of the folder.
        pairs: Number of pairs.
        ranked: Metrics that ranks are taken over.
        rows: The methods, best first.
    """

    task: str
    data: str
    pairs: int
    ranked: tuple[str, ...]
    rows: tuple[MethodRow, ...]


@dataclass(frozen=True, slots=True)
class TasksResult:
    """The scores of all sets."""

    sets: tuple[TaskScores, ...]

    def tables(self) -> Sequence[Table]:
        """Return one table per set."""
        return [
            Table(
                f"{scores.task}: {scores.data}, {scores.pairs} pairs, rank over "
                f"{', '.join(scores.ranked)}",
                ("method", "mean rank", *scores.rows[0].metrics),
                tuple((row.method, row.mean_rank, *row.metrics.values()) for row in scores.rows),
                digits=4,
            )
            for scores in self.sets
        ]


@dataclass(frozen=True, kw_only=True)
class TasksBench(BenchCommand):
    """Score models on exposures and focus settings, in one run with all that is at hand.

    Beside the models stand classical rules, and the results of others in fused/METHOD/ of each
    folder, where a method has all pictures.
    """

    mef: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Folder with a/ (under-exposed) and b/ (over-exposed), and fused/ with others' results."""
    mff: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Folder with a/ and b/ of two focus settings, and fused/ with others' results."""
    model: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME [NAME ...]")] = ()
    """Models to score; default: all installed ones that do the task."""
    every: Annotated[int, tyro.conf.arg(metavar="N")] = 1
    """Score every Nth pair only."""

    def measure(self) -> TasksResult:
        """Score all methods on all sets.

        Raises:
            UsageError: No folder was given.
        """
        sets: list[tuple[Literal["mef", "mff"], Path]] = []
        if self.mef is not None:
            sets.append(("mef", self.mef))
        if self.mff is not None:
            sets.append(("mff", self.mff))
        if not sets:
            raise UsageError("nothing to score: give --mef DIR, --mff DIR or both")
        return TasksResult(tuple(self._scored(task, folder) for task, folder in sets))

    def _scored(self, task: Literal["mef", "mff"], folder: Path) -> TaskScores:
        pairs = list_pairs([folder], task)[:: max(1, self.every)]
        names = self.model or find_models(lambda features: task in features.tasks)
        methods = [*map(ModelMethod, names), *task_methods(task), *_published(folder, pairs)]
        total = len(pairs) * len(methods)
        with tqdm(total=total, unit="image", desc=task, dynamic_ncols=True) as bar:
            result = evaluate(
                folder.name, pairs, methods, default_metrics(pairs), on_scored=bar.update
            )
        return _as_scores(task, result)


def _as_scores(task: str, result: Evaluation) -> TaskScores:
    ranks = result.mean_ranks()
    rows = [
        MethodRow(scores.method, ranks[scores.method], dict(scores.metrics))
        for scores in result.methods
    ]
    return TaskScores(
        task=task,
        data=result.dataset,
        pairs=len(result.methods[0].per_image),
        ranked=result.ranked,
        rows=tuple(sorted(rows, key=lambda row: row.mean_rank)),
    )


def _published(folder: Path, pairs: Sequence[PairFiles]) -> list[Method]:
    """Return the methods of ``fused/`` that have a picture for every pair; say which have not."""
    methods: list[Method] = []
    for place in sorted((folder / "fused").glob("*/")):
        method = FolderMethod.parse(f"{place.name}={place}")
        there = sum(files.stem in method.files for files in pairs)
        if there == len(pairs):
            methods.append(method)
        else:
            print(
                f"{place.name}: {there} of {len(pairs)} pictures, left out",
                file=sys.stderr,
            )
    return methods
