"""Models on pairs of each task, beside classical rules and others' published results."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Final

import tyro
from tqdm import tqdm

from fusion_core.errors import UsageError
from fusion_core.models import find_models
from fusion_lab.benches.command import BenchCommand
from fusion_lab.benches.tables import Table
from fusion_lab.data import FusionTask, PairFiles, dataset_name, list_pairs
from fusion_lab.evaluation import (
    Evaluation,
    FolderMethod,
    Method,
    ModelMethod,
    default_metrics,
    evaluate,
    task_methods,
)

_LEAST_PAIRS: Final = 10  # of a method that has not all pictures, for a table of its own


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
        task: ``vif``, ``mef`` or ``mff``.
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
    """Score models on pairs of each task, in one run with all that is at hand.

    Beside the models stand classical rules, and the results of others in fused/METHOD/ of each
    folder, where a method has all pictures.
    """

    vif: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="DIR [DIR ...]")] = ()
    """Folders with vi/ and ir/, and fused/ with others' results; one table each."""

    mef: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Folder with a/ (under-exposed) and b/ (over-exposed), and fused/ with others' results."""
    mff: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Folder with a/ and b/ of two focus settings, and fused/ with others' results."""
    model: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME [NAME ...]")] = ()
    """Models to score on the tasks that they do; default: all installed ones."""
    every: Annotated[int, tyro.conf.arg(metavar="N")] = 1
    """Score every Nth pair only."""

    def measure(self) -> TasksResult:
        """Score all methods on all sets.

        Raises:
            UsageError: No folder was given.
        """
        sets: list[tuple[FusionTask, Path]] = [("vif", folder) for folder in self.vif]
        if self.mef is not None:
            sets.append(("mef", self.mef))
        if self.mff is not None:
            sets.append(("mff", self.mff))
        if not sets:
            raise UsageError("nothing to score: give --vif DIR, --mef DIR or --mff DIR")
        return TasksResult(tuple(s for task, folder in sets for s in self._scored(task, folder)))

    def _scored(self, task: FusionTask, folder: Path) -> list[TaskScores]:
        """Return the table of all pairs, then one of the pairs of each incomplete method."""
        pairs = list_pairs([folder], task)[:: max(1, self.every)]
        complete, partial = _published(folder, pairs)
        methods = [*map(ModelMethod, self._models(task)), *task_methods(task), *complete]
        total = len(pairs) * len(methods) + sum(len(has) for _, has in partial)
        with tqdm(total=total, unit="image", desc=task, dynamic_ncols=True) as bar:

            def scored(pairs: Sequence[PairFiles], methods: Sequence[Method]) -> Evaluation:
                return evaluate(
                    dataset_name([folder]),
                    pairs,
                    methods,
                    default_metrics(pairs),
                    on_scored=bar.update,
                )

            whole = scored(pairs, methods)
            found = [_as_scores(task, whole)]
            for method, has in partial:
                same = whole.among({files.stem for files in has}).methods
                both = replace(whole, methods=(*same, *scored(has, [method]).methods))
                found.append(_as_scores(task, both))
        return found

    def _models(self, task: FusionTask) -> Sequence[str]:
        """Return the models to score; of those named the ones that do not do the task are out."""
        able = find_models(lambda features: task in features.tasks)
        others = set(find_models(lambda _: True)) - set(able)
        return [name for name in self.model if name not in others] if self.model else able


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


def _published(
    folder: Path, pairs: Sequence[PairFiles]
) -> tuple[list[Method], list[tuple[Method, list[PairFiles]]]]:
    """Return the methods of ``fused/`` that have all pictures, and others with the pairs they have.

    Those that have too few for a table are named.
    """
    complete: list[Method] = []
    partial: list[tuple[Method, list[PairFiles]]] = []
    for place in sorted((folder / "fused").glob("*/")):
        method = FolderMethod.parse(f"{place.name}={place}")
        has = [files for files in pairs if files.stem in method.files]
        if len(has) == len(pairs):
            complete.append(method)
        elif len(has) >= _LEAST_PAIRS:
            partial.append((method, has))
        else:
            print(
                f"{place.name}: {len(has)} of {len(pairs)} pictures, left out",
                file=sys.stderr,
            )
    return complete, partial
