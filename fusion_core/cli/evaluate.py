"""``fusion evaluate``: score fused images against their sources."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from fusion_core.errors import UsageError

if TYPE_CHECKING:
    from fusion_core.evaluation import Evaluation, Method


@dataclass(frozen=True)
class Evaluate:
    """Score models, folders of fused images and classical rules on registered pairs.

    Metrics are computed in float64 on 8-bit gray images and averaged over the pairs. One method
    gives {"dataset", "pairs", "method", "metrics", "per_image"}; several give {"dataset",
    "pairs", "methods": [the same, with "mean_rank" over the headline metrics]}.
    """

    data: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="DIR [DIR ...]")]
    """Folders with vi/ and ir/ of equal stems."""
    out: Annotated[Path, tyro.conf.arg(metavar="FILE.json")]
    """Where the scores go."""
    model: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME [NAME ...]")] = ()
    """Models to run and score, each one of `fusion models`."""
    fused: Annotated[tuple[str, ...], tyro.conf.arg(metavar="[NAME=]DIR ...")] = ()
    """Folders of fused images with the pairs' stems, in any image format."""
    baselines: bool = False
    """Score max, mean, Laplacian pyramid and guided filter as well."""
    metrics: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME [NAME ...]")] = ()
    """Metrics to compute, or `all`; default: EN SD SF AG MI SCD VIF Qabf SSIM NABF."""
    html: Annotated[Path | None, tyro.conf.arg(metavar="FILE.html")] = None
    """Write one self-contained page with the table, best and worst pictures."""
    workers: Annotated[int, tyro.conf.arg(metavar="N")] = 0
    """Threads that score; 0: one per core."""

    def run(self) -> int:
        """Score, write, and print the table."""
        from tqdm import tqdm

        from fusion_core.evaluation import (
            dataset_name,
            evaluate,
            list_pairs,
            write_html,
            write_json,
        )

        names = self._metric_names()
        methods = self._methods()
        pairs = list_pairs(self.data)
        total = len(pairs) * len(methods)
        with tqdm(total=total, unit="image", desc="scoring", dynamic_ncols=True) as bar:
            result = evaluate(
                dataset_name(self.data),
                pairs,
                methods,
                names,
                workers=self.workers,
                on_scored=bar.update,
            )
        write_json(self.out, result)
        if self.html:
            write_html(self.html, result, pairs, methods)
        _print_table(result)
        return 0

    def _metric_names(self) -> tuple[str, ...]:
        from fusion_core.evaluation import DEFAULT_METRICS
        from fusion_core.metrics import METRICS, select_metrics

        if self.workers < 0:
            raise UsageError(f"--workers {self.workers}: must be at least 0")
        if self.metrics == ("all",):
            return tuple(METRICS)
        names = self.metrics or DEFAULT_METRICS
        select_metrics(names)
        return names

    def _methods(self) -> list[Method]:
        from fusion_core.evaluation import FolderMethod, ModelMethod, baseline_methods

        methods: list[Method] = [ModelMethod(name) for name in self.model]
        methods += [FolderMethod.parse(text) for text in self.fused]
        if self.baselines:
            methods += baseline_methods()
        if not methods:
            raise UsageError("nothing to score: give --model NAME, --fused DIR or --baselines")
        return methods


def _print_table(result: Evaluation) -> None:
    names = list(result.methods[0].metrics)
    width = max(len("method"), *(len(scores.method) for scores in result.methods))
    several = len(result.methods) > 1
    ranks = result.mean_ranks()
    rank_head = "    rank" if several else ""
    print(f"{result.dataset}: {len(result.methods[0].per_image)} pairs")
    print("method".ljust(width) + rank_head + "".join(f" {name:>9}" for name in names))
    for scores in sorted(result.methods, key=lambda s: ranks[s.method]):
        rank = f"  {ranks[scores.method]:6.2f}" if several else ""
        values = "".join(f" {scores.metrics[name]:9.4g}" for name in names)
        print(scores.method.ljust(width) + rank + values)
