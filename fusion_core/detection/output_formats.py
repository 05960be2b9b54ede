"""The usual output formats of detector exports: what input each takes, how its outputs are read.

Sources: Ultralytics YOLOv5 and v8 exports; Ge et al., YOLOX (2021), ``demo/ONNXRuntime``; NVIDIA's
EfficientNMS plugin; RT-DETR (Zhao et al., 2024), D-FINE (Peng et al., 2025) and RF-DETR exports.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion_core.detection.boxes import Candidates, FloatArray, corners_of
from fusion_core.detection.letterbox import Fit, Size

Outputs = Mapping[str, NDArray[Any]]
STRIDES = (8, 16, 32)
"""Of the grids of most networks."""
_STRIDES = (STRIDES, (*STRIDES, 64))
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """One format of exported detectors.

    Attributes:
        decode: Outputs and the input's width and height -> candidates in input pixels.
        suppress: Whether the network gives objects several times (non-maximum suppression).
        fit: How the picture is placed in the input.
        bgr: Channels in the order blue, green, red.
        scale: Factor from 8-bit values.
        mean: Subtracted after scaling, per channel.
        std: Divided by after that, per channel.
    """

    decode: Callable[[Outputs, Size], Candidates]
    suppress: bool = True
    fit: Fit = "centre"
    bgr: bool = False
    scale: float = 1 / 255
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)


def grid_count(size: Size, strides: tuple[int, ...]) -> int:
    """Return the number of cells of all grids over an input of this width and height."""
    return sum((size[0] // stride) * (size[1] // stride) for stride in strides)


def _only(outputs: Outputs) -> NDArray[Any]:
    """Return the single output without its batch axis."""
    (output,) = outputs.values()
    return np.asarray(output[0])


def _part(outputs: Outputs, word: str) -> FloatArray:
    """Return the output whose name contains a word, without its batch axis."""
    name = next(name for name in outputs if word in name.lower())
    return np.asarray(outputs[name][0], np.float64)


def _best(boxes: NDArray[Any], scores: NDArray[Any], objectness: NDArray[Any] | None) -> Candidates:
    """Return each of ``Nx4`` centred boxes with the best of its ``NxC`` class scores.

    Where there is an objectness it multiplies the score, which does not change the best class.
    """
    classes = scores.argmax(axis=1)
    best = scores[np.arange(len(scores)), classes].astype(np.float64)
    if objectness is not None:
        best *= objectness
    return Candidates(corners_of(boxes.astype(np.float64)), best, classes)


def _yolov5(outputs: Outputs, _: Size) -> Candidates:
    """Read ``1xNx(5+C)``: centre, size, objectness, class probabilities given an object."""
    rows = _only(outputs)
    return _best(rows[:, :4], rows[:, 5:], rows[:, 4])


def _yolov8(outputs: Outputs, _: Size) -> Candidates:
    """Read ``1x(4+C)xN``: centre, size, class probabilities."""
    rows = _only(outputs).T
    return _best(rows[:, :4], rows[:, 4:], None)


def _yolox(outputs: Outputs, size: Size) -> Candidates:
    """Read ``1xNx(5+C)`` on raw grids: (offset + cell) * stride, exp(size) * stride."""
    rows = _only(outputs)
    strides = next(s for s in _STRIDES if grid_count(size, s) == len(rows))
    cells, steps = [], []
    for stride in strides:
        y, x = np.mgrid[: size[1] // stride, : size[0] // stride]
        cells.append(np.stack([x, y], axis=-1).reshape(-1, 2))
        steps.append(np.full((x.size, 1), stride))
    cell, step = np.concatenate(cells), np.concatenate(steps)
    centred = np.hstack([(rows[:, :2] + cell) * step, np.exp(rows[:, 2:4]) * step])
    return _best(centred, rows[:, 5:], rows[:, 4])


def _end2end(outputs: Outputs, _: Size) -> Candidates:
    """Read ``1xNx6``: corners, score, class; suppression was part of the network."""
    rows = _only(outputs)
    boxes, scores = rows[:, :4].astype(np.float64), rows[:, 4].astype(np.float64)
    return Candidates(boxes, scores, rows[:, 5].astype(np.int64))


def _efficient_nms(outputs: Outputs, _: Size) -> Candidates:
    """Read number, corners, scores and classes; the number says how many rows count."""
    count = int(_part(outputs, "num").reshape(-1)[0])
    classes = _part(outputs, "class").reshape(-1).astype(np.int64)
    scores = _part(outputs, "score").reshape(-1)
    return Candidates(_part(outputs, "box")[:count], scores[:count], classes[:count])


def _rtdetr(outputs: Outputs, _: Size) -> Candidates:
    """Read labels, corners and scores, one row per query; corners in the size asked for."""
    labels = _part(outputs, "label").astype(np.int64)
    return Candidates(_part(outputs, "box"), _part(outputs, "score"), labels)


def _queries(outputs: Outputs, size: Size) -> Candidates:
    """Read ``1xNx(4+C)``: centred boxes in parts of the input's size, class probabilities."""
    rows = _only(outputs)
    return _best(rows[:, :4] * np.tile(size, 2), rows[:, 4:], None)


def _detr(outputs: Outputs, size: Size) -> Candidates:
    """Read class logits (sigmoid) and centred boxes in parts of the input's size."""
    # By their names: with four classes both outputs have the same shape.
    name = next(name for name in outputs if "box" in name.lower() or "dets" in name.lower())
    (other,) = outputs.keys() - {name}
    logits = np.asarray(outputs[other][0], np.float64)
    boxes = outputs[name][0] * np.tile(size, 2)
    return _best(boxes, 1 / (1 + np.exp(-np.clip(logits, -60, 60))), None)


OUTPUT_FORMATS: Mapping[str, OutputFormat] = {
    "yolov5": OutputFormat(_yolov5),
    "yolov8": OutputFormat(_yolov8),
    "yolox": OutputFormat(_yolox, fit="corner", bgr=True, scale=1.0),
    "end2end": OutputFormat(_end2end, suppress=False),
    "efficient_nms": OutputFormat(_efficient_nms, suppress=False),
    "rtdetr": OutputFormat(_rtdetr, suppress=False, fit="stretch"),
    "queries": OutputFormat(_queries, suppress=False, fit="stretch"),
    "detr": OutputFormat(_detr, suppress=False, fit="stretch"),
    "rfdetr": OutputFormat(
        _detr, suppress=False, fit="stretch", mean=_IMAGENET[0], std=_IMAGENET[1]
    ),
}
"""Name -> output format; the names are those of ``DetectionConfig.output_format``."""


def class_count(name: str, outputs: Outputs) -> int | None:
    """Return the number of classes in outputs of a format, None when they do not show it."""
    widths = [int(output.shape[-1]) for output in outputs.values()]
    if name == "yolov8":
        return int(next(iter(outputs.values())).shape[1]) - 4
    if name in {"yolov5", "yolox"}:
        return widths[0] - 5
    if name == "queries":
        return widths[0] - 4
    if name in {"detr", "rfdetr"}:
        return sum(widths) - 4
    return None


def detect_format(outputs: Outputs, size: Size, classes: int | None) -> str | None:
    """Return the name of the format of outputs, None when it is none of them.

    Args:
        outputs: What the network gave for any picture.
        size: Width and height of its input.
        classes: Number of classes where the model states it.
    """
    words = " ".join(outputs).lower()
    if len(outputs) == 4 and all(word in words for word in ("num", "box", "score", "class")):
        return "efficient_nms"
    if len(outputs) == 3 and all(word in words for word in ("label", "box", "score")):
        return "rtdetr"
    if len(outputs) == 2 and any(output.shape[-1] == 4 for output in outputs.values()):
        return "rfdetr" if "dets" in words else "detr" if "logits" in words else None
    shape = next(iter(outputs.values())).shape
    if len(outputs) != 1 or len(shape) != 3 or shape[0] != 1:
        return None
    return _single(shape[1], shape[2], size, classes)


def _single(rows: int, columns: int, size: Size, classes: int | None) -> str | None:
    """Return the format of one ``1 x rows x columns`` output."""
    if rows < columns:
        fits = rows > 4 and classes in {None, rows - 4}
        return "yolov8" if fits else None
    if columns > 5 and classes in {None, columns - 5}:
        counts = [grid_count(size, strides) for strides in _STRIDES]
        if rows in counts:
            return "yolox"
        if rows in {3 * count for count in counts}:
            return "yolov5"
    if classes is not None and columns == classes + 4:
        return "queries"
    return "end2end" if columns == 6 else None
