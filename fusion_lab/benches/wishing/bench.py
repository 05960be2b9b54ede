"""The bench of fusing as a sentence asks: options and parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

import numpy as np
import tyro

from fusion_core.errors import UsageError
from fusion_core.models import load_model
from fusion_core.models.mmaif import MMAIF
from fusion_core.types import UInt8Image
from fusion_lab.benches.command import BenchCommand
from fusion_lab.benches.progress import with_progress
from fusion_lab.benches.tables import Table
from fusion_lab.benches.wishing.cases import TEACHER, WishingCase, read_cases
from fusion_lab.benches.wishing.ceiling import CodecDistance, codec_distance
from fusion_lab.benches.wishing.matrix import WishMatrix, draw_matrix, measure_matrix
from fusion_lab.benches.wishing.methods import Method, compared_methods
from fusion_lab.data import FusionTask
from fusion_lab.metrics import to_gray
from fusion_lab.metrics.fidelity import psnr_to
from fusion_lab.metrics.structural import ssim_to

Part = Literal["restoration", "matrix", "codec"]
_TRUTH = {
    "vif": f"pseudo-truth: {TEACHER} on the clean pair",
    "mef": "true target",
    "mff": "true target",
}


@dataclass(frozen=True, slots=True)
class WishingScore:
    """Means of one method over one group.

    Attributes:
        psnr_db: PSNR of the luma to the target.
        ssim: SSIM of the luma to the target.
    """

    psnr_db: float
    ssim: float


@dataclass(frozen=True, slots=True)
class TaskComparison:
    """All methods of one task.

    Attributes:
        task: The task.
        counts: Group -> number of cases; ``mean`` is over all.
        means: Method -> group -> means.
    """

    task: str
    counts: Mapping[str, int]
    means: Mapping[str, Mapping[str, WishingScore]]

    def tables(self) -> list[Table]:
        """Return one table of PSNR and one of SSIM."""
        columns = tuple(f"{group} ({count})" for group, count in self.counts.items())
        return [
            Table(
                f"{self.task}: {title} ({_TRUTH[self.task]})",
                ("method", *columns),
                tuple(
                    (method, *(getattr(groups[group], name) for group in self.counts))
                    for method, groups in self.means.items()
                ),
                digits=digits,
            )
            for name, title, digits in (("psnr_db", "PSNR, dB", 2), ("ssim", "SSIM", 4))
        ]


@dataclass(frozen=True, slots=True)
class WishingResult:
    """Figures of the parts that were run."""

    tasks: tuple[TaskComparison, ...] = ()
    matrix: WishMatrix | None = None
    codec: CodecDistance | None = None

    def tables(self) -> Sequence[Table]:
        """Return the tables of the parts."""
        found = [table for task in self.tasks for table in task.tables()]
        if self.matrix is not None:
            found += self.matrix.tables()
        if self.codec is not None:
            found += self.codec.tables()
        return found


@dataclass(frozen=True, kw_only=True)
class WishingBench(BenchCommand):
    """Fuse degraded sets as a sentence asks, and as other methods do.

    `restoration`: PSNR and SSIM to the target, per task and degradation, with the right sentence, a
    phrasing that no training saw, none and a wrong one; beside classical restoration followed by
    the best fusion of the task, and the mean of the pictures. `matrix`: what each sentence removes
    of each degradation. `codec`: the result and the codec's own reconstruction of the target.
    """

    parts: tyro.conf.Positional[tuple[Part, ...]] = ()
    """Parts to run; all when not given."""
    data: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Folder that holds roadscene/val and msrs."""
    model: Annotated[str, tyro.conf.arg(metavar="NAME")] = "mmaif"
    """The network, or its weights."""
    tasks: Annotated[tuple[FusionTask, ...], tyro.conf.arg(metavar="TASK ...")] = (
        "vif",
        "mef",
        "mff",
    )
    """Tasks to compare."""
    every: Annotated[int, tyro.conf.arg(metavar="N")] = 2
    """Use every n-th picture."""
    pictures: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Draw mmaif_matrix.png into this folder."""

    def measure(self) -> WishingResult:
        """Run the parts.

        Raises:
            UsageError: The model is no MMAIF network.
        """
        parts = self.parts or get_args(Part)
        model = load_model(self.model)
        if not isinstance(model, MMAIF):
            raise UsageError(f"model {self.model!r}: follows no sentence; name an MMAIF network")
        tasks: tuple[TaskComparison, ...] = ()
        matrix = codec = None
        if "restoration" in parts:
            tasks = tuple(self._compared(model, task) for task in self.tasks)
        if "matrix" in parts:
            matrix = measure_matrix(model, self.data, self.every)
            if self.pictures:
                draw_matrix(matrix, self.pictures / "mmaif_matrix.png")
        if "codec" in parts:
            codec = codec_distance(model, self.data, self.every)
        return WishingResult(tasks, matrix, codec)

    def _compared(self, model: MMAIF, task: FusionTask) -> TaskComparison:
        cases = list(read_cases(self.data, task, self.every))
        return compare(task, compared_methods(model, task), with_progress(cases, task))


def compare(
    task: str, methods: Mapping[str, Method], cases: Iterable[WishingCase]
) -> TaskComparison:
    """Score every method on every case."""
    rows: dict[str, dict[str, list[WishingScore]]] = {name: {"mean": []} for name in methods}
    for case in cases:
        for name, method in methods.items():
            found = score(method(case), case.target)
            rows[name].setdefault(case.group, []).append(found)
            rows[name]["mean"].append(found)
    first = next(iter(rows.values()))
    order = [*sorted(group for group in first if group not in {"mean", "compound"})]
    order += [group for group in ("compound", "mean") if group in first]
    return TaskComparison(
        task,
        {group: len(first[group]) for group in order},
        {name: {group: _mean(groups[group]) for group in order} for name, groups in rows.items()},
    )


def score(fused: UInt8Image, target: UInt8Image) -> WishingScore:
    """Return PSNR and SSIM of the luma of two ``HxWx3`` pictures."""
    ours, wanted = to_gray(fused), to_gray(target)
    return WishingScore(psnr_to(ours, wanted), ssim_to(ours, wanted))


def _mean(entries: Sequence[WishingScore]) -> WishingScore:
    return WishingScore(
        float(np.mean([entry.psnr_db for entry in entries])),
        float(np.mean([entry.ssim for entry in entries])),
    )
