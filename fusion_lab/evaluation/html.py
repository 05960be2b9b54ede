"""The evaluation as one self-contained HTML page."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from html import escape
from pathlib import Path

import cv2
import numpy as np

from fusion_core.runtime.files import atomic_path
from fusion_core.types import UInt8Image
from fusion_lab.data import LAYOUTS, PairFiles, read_example
from fusion_lab.evaluation.detecting import DetectionScores
from fusion_lab.evaluation.methods import Method
from fusion_lab.evaluation.scoring import Evaluation, MethodScores
from fusion_lab.metrics import METRICS

_PICTURES = 3
_WIDTH_PX = 360

_STYLE = """
body{font:14px/1.5 system-ui,sans-serif;margin:2rem auto;padding:0 1rem;max-width:1400px;
color:#1c2126;background:#fff}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}h3{font-size:1rem;margin-bottom:.2rem}
.wide{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.3rem .7rem;text-align:right;border-bottom:1px solid #dde1e6;white-space:nowrap}
th:first-child,td:first-child{text-align:left}th button{all:unset;cursor:pointer;font-weight:600}
th button:focus-visible{outline:2px solid #0b57d0}td.best{font-weight:700;background:#e6f2ea}
.row{display:flex;flex-wrap:wrap;gap:.5rem}figure{margin:0}figcaption{color:#505a64}
img{display:block;max-width:100%}
"""

_SCRIPT = """
for (const button of document.querySelectorAll('th button')) {
  button.addEventListener('click', () => {
    const head = button.closest('th'), table = head.closest('table');
    const column = head.cellIndex, body = table.tBodies[0];
    const up = head.getAttribute('aria-sort') !== 'ascending';
    for (const other of head.parentNode.cells) other.removeAttribute('aria-sort');
    head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
    const key = row => row.cells[column].dataset.value;
    const order = (a, b) => {
      const x = Number(key(a)), y = Number(key(b));
      return isNaN(x) || isNaN(y) ? key(a).localeCompare(key(b)) : x - y;
    };
    const rows = [...body.rows].sort((a, b) => up ? order(a, b) : order(b, a));
    body.append(...rows);
  });
}
"""


def write_html(
    path: Path,
    evaluation: Evaluation,
    pairs: Sequence[PairFiles],
    methods: Sequence[Method],
    detection: DetectionScores | None = None,
) -> None:
    """Write the page: a sortable table, and where the first method does best and worst.

    Args:
        path: The file; whole or not written at all.
        evaluation: Scores of these methods on these pairs.
        pairs: The pairs, in the order of the scores.
        methods: The methods, in the order of the scores; they fuse the pictures shown again.
        detection: What a detector finds in the pictures, where one has judged.
    """
    first = escape(evaluation.methods[0].method)
    order = picture_order(evaluation)
    best = order[:_PICTURES]
    worst = [i for i in order[::-1][:_PICTURES] if i not in best]
    title = f"Fusion metrics: {escape(evaluation.dataset)}"
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width,initial-scale=1'>",
        f"<title>{title}</title><style>{_STYLE}</style></head><body><h1>{title}</h1>",
        f"<p>{len(pairs)} pairs. Means over the pairs, 8-bit gray, float64; arrows point to the "
        "better side. Mean rank over "
        + ", ".join(evaluation.ranked)
        + " as far as computed, 1 is best. "
        "Press a heading to sort.</p>",
        _table(evaluation),
        "" if detection is None else _detection_table(detection),
        _gallery(f"Where {first} does best", best, pairs, methods),
        _gallery(f"Where {first} does worst", worst, pairs, methods),
        f"<script>{_SCRIPT}</script></body></html>\n",
    ]
    with atomic_path(path) as temporary:
        temporary.write_text("".join(parts), encoding="utf-8")


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


def _table(evaluation: Evaluation) -> str:
    names = list(evaluation.methods[0].metrics)
    ranks = evaluation.mean_ranks()
    arrows = {"higher": "↑", "lower": "↓"}
    heads = ["method", "mean rank", *(f"{name} {arrows[METRICS[name].better]}" for name in names)]
    head = "".join(f"<th scope='col'><button>{escape(text)}</button></th>" for text in heads)
    best = {name: _best(evaluation, name) for name in names}
    rows = []
    for scores in sorted(evaluation.methods, key=lambda s: ranks[s.method]):
        label = escape(scores.method)
        cells = [f"<td data-value='{label}'>{label}</td>", _cell(ranks[scores.method], "")]
        for name in names:
            value = scores.metrics[name]
            cells.append(_cell(value, " class='best'" if value == best[name] else ""))
        rows.append("<tr>" + "".join(cells) + "</tr>")
    table = f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody>"
    return f"<div class='wide'><table>{table}</table></div>"


def _detection_table(detection: DetectionScores) -> str:
    """Return how the detector does on sources and methods, one row each."""
    first = next(iter(detection.inputs.values()))
    labels = [name for name, scores in first.items() if scores.objects]
    heads = ["picture", "mAP50 ↑"]
    for name in labels:
        heads += [f"{name} {column} ↑" for column in ("AP50", "recall", "precision", "recall@1")]
    head = "".join(f"<th scope='col'><button>{escape(text)}</button></th>" for text in heads)
    rows = []
    for name, classes in detection.inputs.items():
        label = escape(name)
        cells = [f"<td data-value='{label}'>{label}</td>", _cell(detection.mean_ap50(name), "")]
        for scores in (classes[label] for label in labels):
            cells += [_cell(scores.ap50, ""), _cell(scores.recall, "")]
            cells += [_cell(scores.precision, ""), _cell(scores.recall_at_one, "")]
        rows.append("<tr>" + "".join(cells) + "</tr>")
    objects = ", ".join(f"{first[name].objects} {name}" for name in labels)
    return (
        f"<h2>Objects found by {escape(Path(detection.detector).name)}</h2><p>{objects} in "
        f"{detection.pictures} pictures. IoU 0.5; recall and precision at a score of "
        f"{detection.threshold:g}; recall@1: at one false detection per picture.</p>"
        f"<div class='wide'><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _cell(value: float, attributes: str) -> str:
    shown = f"{value:.4g}" if math.isfinite(value) else "–"
    return f"<td{attributes} data-value='{value!r}'>{shown}</td>"


def _best(evaluation: Evaluation, name: str) -> float:
    values = [s.metrics[name] for s in evaluation.methods if not math.isnan(s.metrics[name])]
    if not values:
        return math.nan
    return max(values) if METRICS[name].better == "higher" else min(values)


def _gallery(
    title: str, chosen: Sequence[int], pairs: Sequence[PairFiles], methods: Sequence[Method]
) -> str:
    if not chosen:
        return ""
    parts = [f"<h2>{title}</h2>"]
    for index in chosen:
        pair = read_example(pairs[index])
        pictures = list(zip(LAYOUTS[pair.task].titles, (pair.first, pair.second), strict=True))
        pictures += [(method.name, method.fuse(pair)) for method in methods]
        figures = "".join(
            f"<figure><img alt='{escape(name)}' src='{_data_uri(image)}'>"
            f"<figcaption>{escape(name)}</figcaption></figure>"
            for name, image in pictures
        )
        parts.append(f"<h3>{escape(pair.name)}</h3><div class='row'>{figures}</div>")
    return "".join(parts)


def _data_uri(image: UInt8Image) -> str:
    scale = min(1.0, _WIDTH_PX / image.shape[1])
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    if small.ndim == 3:
        small = cv2.cvtColor(small, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 85])
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode("ascii")
