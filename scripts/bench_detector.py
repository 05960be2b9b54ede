"""What the shipped detector finds with both cameras, with one of them blind, and what another does.

Every folder holds vi/, ir/ and labels/, or vi.mp4, ir.mp4 and labels/ named by frame. The detector
for pairs sees both modalities; with one of them black; and with one of them frozen: another
picture of the set in its place. A detector for pictures (--beside) sees visible, thermal and fused
images. Average precision at IoU 0.5, recall at the detector's threshold, and recall at one
false detection per picture; the definitions are those of `fusion evaluate --detector`.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

import fusion_core
from fusion_core.detection import Detector
from fusion_core.detection.labels import CLASSES, read_labels
from fusion_core.evaluation import ImagePair, dataset_name, list_pairs, read_pair
from fusion_core.evaluation.detecting import grouped
from fusion_core.evaluation.precision import ClassTally
from fusion_core.types import AlignedPair, UInt8Image

LEAST_SCORE = 0.01
Views = Iterator[tuple[str, Detector, UInt8Image, AlignedPair]]


def unpacked(folder: Path, scratch: Path) -> Path:
    """Return the folder itself, or one with the labelled frames of its videos."""
    if not (folder / "vi.mp4").is_file():
        return folder
    shutil.copytree(folder / "labels", scratch / "labels")
    stems = {int(path.stem): path.stem for path in (folder / "labels").glob("*.csv")}
    for name in ("vi", "ir"):
        (scratch / name).mkdir()
        capture = cv2.VideoCapture(str(folder / f"{name}.mp4"))
        for number in range(max(stems) + 1):
            capture.grab()
            if number in stems:
                cv2.imwrite(str(scratch / name / f"{stems[number]}.png"), capture.retrieve()[1])
        capture.release()
    return scratch


def aligned(visible: UInt8Image, thermal: UInt8Image) -> AlignedPair:
    """Return two pictures as the pair that the pipeline would hand on."""
    luminance = thermal.astype(np.float32) / np.float32(255)
    return AlignedPair(0, visible, luminance, np.ones(thermal.shape, np.bool_))


def views(
    pair: ImagePair, other: ImagePair, default: Detector, beside: Detector | None, model: str
) -> Views:
    """Yield name, detector, picture and pair of everything that is looked at."""
    visible, thermal = pair.visible, pair.thermal
    size = (thermal.shape[1], thermal.shape[0])
    seen = {
        "pair": (visible, thermal),
        "visible only": (visible, np.zeros_like(thermal)),
        "thermal only": (np.zeros_like(visible), thermal),
        "thermal frozen": (visible, cv2.resize(other.thermal, size)),
        "visible frozen": (cv2.resize(other.visible, size), thermal),
    }
    for name, planes in seen.items():
        yield name, default, visible, aligned(*planes)
    if beside is not None:
        pictures = {"visible": visible, "thermal": np.repeat(thermal[:, :, None], 3, axis=2)}
        pictures["fused"] = fusion_core.fuse(thermal, visible, model=model)
        for name, picture in pictures.items():
            yield f"{beside.path.stem}: {name}", beside, picture, aligned(visible, thermal)


def judge(folder: Path, options: argparse.Namespace) -> dict[str, dict[str, dict[str, float]]]:
    """Return view -> class -> scores of one set."""
    default = Detector(options.detector)
    beside = Detector(options.beside) if options.beside else None
    with tempfile.TemporaryDirectory() as scratch:
        pairs = list_pairs([unpacked(folder, Path(scratch))])
        tallies: dict[str, dict[str, ClassTally]] = {}
        thresholds: dict[str, float] = {}
        for number, paths in enumerate(pairs):
            pair = read_pair(paths)
            other = read_pair(pairs[(number + len(pairs) // 2) % len(pairs)])
            labels = read_labels(
                paths.visible.parent.parent / "labels", paths.stem, *pair.thermal.shape
            )
            for name, detector, picture, planes in views(
                pair, other, default, beside, options.model
            ):
                found = grouped(detector.detect(picture, planes, score=LEAST_SCORE), detector)
                thresholds[name] = detector.card.conf
                by_class = tallies.setdefault(name, {label: ClassTally() for label in CLASSES})
                for index, label in enumerate(CLASSES):
                    own = found.take(found.classes == index)
                    by_class[label].add(own.boxes, own.scores, labels.objects[label], labels.ignore)
    return {
        name: {
            label: {
                "objects": tally.objects,
                "ap50": (scores := tally.sum_up(thresholds[name])).ap50,
                "recall": scores.recall,
                "precision": scores.precision,
                "recall_at_one": scores.recall_at_one,
            }
            for label, tally in by_class.items()
            if tally.objects
        }
        for name, by_class in tallies.items()
    }


def show(name: str, scores: dict[str, dict[str, dict[str, float]]]) -> None:
    """Print one set as rows of a Markdown table."""
    for view, classes in scores.items():
        cells = []
        for label in CLASSES:
            row = classes.get(label)
            values = [row[key] for key in ("ap50", "recall", "recall_at_one")] if row else []
            cells.append(" / ".join("–" if math.isnan(v) else f"{v:.2f}" for v in values) or "–")
        print(f"| {name} | {view} | " + " | ".join(cells) + " |", flush=True)


def main() -> int:
    """Judge all sets."""
    parser = argparse.ArgumentParser(prog="scripts/bench_detector", description=__doc__)
    parser.add_argument("--data", nargs="+", type=Path, required=True, metavar="DIR")
    parser.add_argument("--detector", default="default", metavar="default|FILE.onnx")
    parser.add_argument("--beside", default="", metavar="FILE.onnx")
    parser.add_argument("--model", default="m2pn-edge", help="fuses what --beside looks at")
    parser.add_argument("--out", type=Path, metavar="FILE.json")
    options = parser.parse_args()
    results = {}
    columns = " | ".join(f"{label}: AP50 / recall / at one false" for label in CLASSES)
    print(f"| set | sees | {columns} |\n|---|---|" + "---|" * len(CLASSES))
    for folder in options.data:
        name = dataset_name([folder])
        results[name] = judge(folder, options)
        show(name, results[name])
    if options.out:
        options.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
