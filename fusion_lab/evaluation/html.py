"""The evaluation as one self-contained HTML page."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from fusion_core.pages import (
    Fact,
    Page,
    PageTable,
    PictureRow,
    TableCell,
    Verdict,
    figure,
    render_page,
)
from fusion_core.runtime.files import atomic_path
from fusion_core.types import UInt8Image
from fusion_lab.data import LAYOUTS, PairFiles, read_example
from fusion_lab.evaluation.detecting import DetectionScores
from fusion_lab.evaluation.methods import Method
from fusion_lab.evaluation.scoring import Evaluation, MethodScores
from fusion_lab.metrics import METRICS

_PICTURES = 3
_WIDTH_PX = 480


def write_html(
    path: Path,
    evaluation: Evaluation,
    pairs: Sequence[PairFiles],
    methods: Sequence[Method],
    detection: DetectionScores | None = None,
) -> None:
    """Write the page: sortable tables, and the best and worst pictures of the first method.

    Args:
        path: The file; whole or not written at all.
        evaluation: Scores of these methods on these pairs.
        pairs: The pairs, in the order of the scores.
        methods: The methods, in the order of the scores; they fuse the pictures shown again.
        detection: Detections in the pictures, where a detector was run.
    """
    first = evaluation.methods[0].method
    order = picture_order(evaluation)
    best = order[:_PICTURES]
    worst = [i for i in order[::-1][:_PICTURES] if i not in best]
    page = Page(
        title=f"Fusion metrics: {evaluation.dataset}",
        verdict=_verdict(evaluation, len(pairs)),
        facts=[Fact("Pairs", figure(len(pairs))), Fact("Methods", figure(len(methods)))],
        tables=[_metric_table(evaluation), *(_detection_tables(detection) if detection else ())],
        pictures={
            f"Where {first} does best": [*_rows(best, pairs, methods)],
            f"Where {first} does worst": [*_rows(worst, pairs, methods)],
        },
    )
    with atomic_path(path) as temporary:
        temporary.write_text(render_page(page), encoding="utf-8")


def picture_order(evaluation: Evaluation) -> list[int]:
    """Return the pictures' indices from the first method's best to its worst.

    A picture's score is the mean over the ranked metrics of the first method's lead over the
    mean of the others (of its plain value when it is alone), each metric standardised over the
    pictures.
    """
    first, others = evaluation.methods[0], evaluation.methods[1:]
    total = np.zeros(len(first.per_image))
    for name in (n for n in first.metrics if n in evaluation.ranked):
        lead = _values(first, name)
        if others:
            lead = lead - np.mean([_values(other, name) for other in others], axis=0)
        lead = np.nan_to_num(lead - np.nanmean(lead) if np.isfinite(lead).any() else lead)
        spread = float(np.std(lead))
        total += lead / spread if spread > 0 else 0.0
    return [int(i) for i in np.argsort(-total, kind="stable")]


def _values(scores: MethodScores, name: str) -> np.ndarray:
    return np.array([image.metrics[name] for image in scores.per_image])


def _verdict(evaluation: Evaluation, pairs: int) -> Verdict | None:
    """Return which methods rank first, None for a single method."""
    if len(evaluation.methods) < 2:
        return None
    ranks = evaluation.mean_ranks()
    ordered = sorted(ranks, key=lambda method: ranks[method])
    winners = [method for method in ordered if ranks[method] == ranks[ordered[0]]]
    sentences = [
        f"{method}: place {place}, mean rank {figure(ranks[method])}."
        for place, method in enumerate(ordered, start=1)
        if method not in winners
    ]
    headline = (
        f"{' and '.join(winners)} {'ranks' if len(winners) == 1 else 'rank'} first of "
        f"{len(ordered)} methods on {figure(pairs)} pairs, mean rank {figure(ranks[ordered[0]])}."
    )
    return Verdict("good", headline, tuple(sentences))


def _metric_table(evaluation: Evaluation) -> PageTable:
    names = list(evaluation.methods[0].metrics)
    ranks = evaluation.mean_ranks()
    arrows = {"higher": "↑", "lower": "↓"}
    best = {name: _best(evaluation, name) for name in names}
    rows = [
        [
            TableCell(scores.method, scores.method),
            _number(ranks[scores.method]),
            *(_number(scores.metrics[name], best[name]) for name in names),
        ]
        for scores in sorted(evaluation.methods, key=lambda s: ranks[s.method])
    ]
    return PageTable(
        "Metrics",
        ["method", "mean rank", *(f"{name} {arrows[METRICS[name].better]}" for name in names)],
        rows,
        note=f"Means over the pairs, 8-bit gray, float64; arrows point to the better side. Mean "
        f"rank over {', '.join(evaluation.ranked)} as far as computed, 1 is best. Press a heading "
        "to sort.",
        sortable=True,
    )


def _detection_tables(detection: DetectionScores) -> Iterator[PageTable]:
    """Yield the detector's scores on sources and methods, one row each."""
    first = next(iter(detection.inputs.values()))
    labels = [name for name, scores in first.items() if scores.objects]
    head = ["picture", "mAP50 ↑"]
    for name in labels:
        head += [f"{name} {column} ↑" for column in ("AP50", "recall", "precision", "recall@1")]
    rows = []
    for name, classes in detection.inputs.items():
        row = [TableCell(name, name), _number(detection.mean_ap50(name))]
        for scores in (classes[label] for label in labels):
            row += [_number(scores.ap50), _number(scores.recall)]
            row += [_number(scores.precision), _number(scores.recall_at_one)]
        rows.append(row)
    objects = ", ".join(f"{first[name].objects} {name}" for name in labels)
    yield PageTable(
        f"Objects found by {Path(detection.detector).name}",
        head,
        rows,
        note=f"{objects} in {detection.pictures} pictures. IoU 0.5; recall and precision at a "
        f"score of {detection.threshold:g}; recall@1: at one false detection per picture.",
        sortable=True,
    )


def _number(value: float, best: float = math.nan) -> TableCell:
    """Return a number to sort by, highlighted where it is the best."""
    text = f"{value:.4g}" if math.isfinite(value) else "–"
    return TableCell(text, repr(float(value)), best=value == best)


def _best(evaluation: Evaluation, name: str) -> float:
    values = [s.metrics[name] for s in evaluation.methods if not math.isnan(s.metrics[name])]
    if not values:
        return math.nan
    return max(values) if METRICS[name].better == "higher" else min(values)


def _rows(
    chosen: Sequence[int], pairs: Sequence[PairFiles], methods: Sequence[Method]
) -> Iterator[PictureRow]:
    """Yield the sources and all fused images of the chosen pairs."""
    for index in chosen:
        pair = read_example(pairs[index])
        sources = zip(LAYOUTS[pair.task].titles, (pair.first, pair.second), strict=True)
        pictures = {name: _small(image) for name, image in sources}
        pictures |= {method.name: _small(method.fuse(pair)) for method in methods}
        yield PictureRow(pair.name, pictures)


def _small(image: UInt8Image) -> UInt8Image:
    scale = min(1.0, _WIDTH_PX / image.shape[1])
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)
