"""What the shipped detector finds with both cameras, and with one broken; and what another finds.

Every folder holds vi/, ir/ and labels/, or vi.mp4, ir.mp4 and labels/ named by frame. The detector
for pairs sees both modalities; with one of them black; with one of them frozen, another picture of
the set in its place; and with one of them missing, as the pipeline hands on a pair whose camera is
silent or hangs. A detector for pictures (--beside) sees visible, thermal and fused
images. Average precision at IoU 0.5, recall at the detector's threshold, and recall at one
false detection per picture; the definitions are those of `fusion evaluate --detector`. The last
column is the mean average precision over the classes with ten objects and more.

A second table tells how much more both cameras together give than the better one alone (the other
black), and how sure that is: the 5th to 95th percentile of the difference of AP50 over a thousand
sets drawn from the set's pictures with replacement.

With --beside a third table tells what a broken camera costs the other one's targets. The targets
of a camera are the labelled objects that the detector beside finds in this camera's picture alone,
at its own threshold. Counted are those that the detector for pairs finds, at its threshold, with
both cameras, with the other one black, frozen or missing, and by the whole pipeline when the other
camera has hung: it sends the frozen picture for the fourth time, while the working one pans, and
the pipeline may notice. Found means: a detection of the class overlaps the object by IoU 0.5.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import fusion_core
from fusion_core.detection import Detector
from fusion_core.detection.boxes import Candidates, overlaps
from fusion_core.detection.labels import CLASSES, GroundTruth, read_labels
from fusion_core.types import AlignedPair, Detection, Frame, FramePair, UInt8Image
from fusion_lab.data import Example, dataset_name, list_pairs, read_example
from fusion_lab.evaluation.detecting import grouped
from fusion_lab.evaluation.precision import IOU, ClassTally

LEAST_SCORE = 0.01
LEAST_OBJECTS = 10
DRAWS = 1000
STATES = ("pair", "black", "frozen", "missing", "hung")
REPEATS = 4
CAMERAS = {"visible": "thermal", "thermal": "visible"}


@dataclass
class Set:
    """What was found in the pictures of one set.

    Attributes:
        tallies: View -> class -> detections of each picture, each right or wrong.
        thresholds: View -> least score of what its detector reports.
        targets: Working camera, class -> how many targets there are, and how many were found with
            the pair, and with the other camera black, frozen, missing and hung.
    """

    tallies: dict[str, dict[str, list[ClassTally]]] = field(default_factory=dict)
    thresholds: dict[str, float] = field(default_factory=dict)
    targets: dict[tuple[str, str], dict[str, int]] = field(
        default_factory=lambda: defaultdict(lambda: dict.fromkeys(("targets", *STATES), 0))
    )

    def add(self, views: dict[str, tuple[Detector, Candidates]], labels: GroundTruth) -> None:
        """Take in what was found in the views of one pair."""
        for name, (detector, found) in views.items():
            self.thresholds[name] = detector.card.conf
            by_class = self.tallies.setdefault(name, {label: [] for label in CLASSES})
            for index, label in enumerate(CLASSES):
                own, tally = found.take(found.classes == index), ClassTally()
                tally.add(own.boxes, own.scores, labels.objects[label], labels.ignore)
                by_class[label].append(tally)

    def add_targets(
        self, views: dict[str, tuple[Detector, Candidates]], labels: GroundTruth
    ) -> None:
        """Count the targets of each camera that are found with the other one broken."""
        for working, broken in CAMERAS.items():
            for index, label in enumerate(CLASSES):
                objects = labels.objects[label]
                target = hits(views[f"beside: {working}"], index, objects)
                row = self.targets[working, label]
                row["targets"] += int(target.sum())
                for state in STATES:
                    view = "pair" if state == "pair" else f"{broken} {state}"
                    row[state] += int((target & hits(views[view], index, objects)).sum())

    def scores(self) -> dict[str, dict[str, dict[str, float]]]:
        """Return view -> class -> scores, of the classes that occur."""
        summed = {
            view: {
                label: ClassTally.merged(tallies).sum_up(self.thresholds[view])
                for label, tallies in by_class.items()
                if any(tally.objects for tally in tallies)
            }
            for view, by_class in self.tallies.items()
        }
        keys = ("objects", "ap50", "recall", "precision", "recall_at_one")
        return {
            view: {label: {key: getattr(s, key) for key in keys} for label, s in classes.items()}
            for view, classes in summed.items()
        }

    def gains(self) -> dict[str, dict[str, float]]:
        """Return class -> AP50 of both cameras less the better one's, and its 90 % interval."""
        pair, *ones = (self.tallies[view] for view in ("pair", "visible black", "thermal black"))
        return {
            label: gain_of(pair[label], [one[label] for one in ones])
            for label in CLASSES
            if any(tally.objects for tally in pair[label])
        }


def gain_of(both: list[ClassTally], ones: list[list[ClassTally]]) -> dict[str, float]:
    """Return the gain of both cameras over the better one, pictures drawn anew for its interval."""
    whole = range(len(both))
    better = max(ones, key=lambda tallies: ap50(tallies, whole))
    drawn = np.random.default_rng(0).integers(0, len(both), (DRAWS, len(both)))
    gain, *gains = (ap50(both, picks) - ap50(better, picks) for picks in (whole, *drawn))
    low, high = np.nanpercentile(gains, (5, 95))
    return {"gain": gain, "low": float(low), "high": float(high)}


def ap50(tallies: list[ClassTally], picks: Iterable[int]) -> float:
    """Return the average precision on some of the pictures, as often as they were picked."""
    return ClassTally.merged(tallies[pick] for pick in picks).sum_up(0.0).ap50


def hits(view: tuple[Detector, Candidates], index: int, objects: np.ndarray) -> np.ndarray:
    """Return which objects of a class a detector finds at its threshold."""
    detector, found = view
    sure = found.take((found.classes == index) & (found.scores >= detector.card.conf))
    return (overlaps(objects, sure.boxes) >= IOU).any(axis=1)


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


class Stream:
    """The whole pipeline, to which each pair is the end of a short stream.

    Args:
        detector: Its detector, as in the configuration.
        model: Its fusion network.
    """

    def __init__(self, detector: str, model: str) -> None:
        detection = {"track": False}
        settings = {"model": model, "prior": "none", "detector": detector, "detection": detection}
        self._pipeline = fusion_core.Pipeline(fusion_core.Config.from_dict(settings))
        self._stamp_ns = 0

    def detect(self, visible: UInt8Image, thermal: UInt8Image, hung: str) -> tuple[Detection, ...]:
        """Return what is found when one camera repeats its picture, and the other pans to its."""
        for shift in reversed(range(REPEATS)):
            self._stamp_ns += 100_000_000
            panned = {"visible": visible, "thermal": thermal}
            panned[CAMERAS[hung]] = np.roll(panned[CAMERAS[hung]], shift, axis=1)
            frames = [
                Frame(self._stamp_ns, "visible", panned["visible"], "rgb8"),
                Frame(self._stamp_ns, "thermal", panned["thermal"], "mono8"),
            ]
            fused = self._pipeline.step(FramePair(self._stamp_ns, *frames, skew_ns=0))
        return fused.detections if fused else ()


class Lookers:
    """The detectors, and with --beside the pipeline, that look at every pair.

    Args:
        options: The command line's.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self._default = Detector(options.detector)
        self._beside = Detector(options.beside) if options.beside else None
        self._stream = Stream(options.detector, options.model) if options.beside else None
        self._model = options.model

    def look(self, pair: Example, other: Example) -> dict[str, tuple[Detector, Candidates]]:
        """Return by view which detector looked and what it found; the other pair is as large."""
        visible, thermal = pair.first, pair.second
        both = aligned(visible, thermal)
        states = {
            "pair": both,
            "thermal black": aligned(visible, np.zeros_like(thermal)),
            "visible black": aligned(np.zeros_like(visible), thermal),
            "thermal frozen": aligned(visible, other.second),
            "visible frozen": aligned(other.first, thermal),
            "thermal missing": replace(both, thermal=None),
            "visible missing": replace(both, visible=None),
        }
        views = {name: seen_by(self._default, visible, seen) for name, seen in states.items()}
        if self._beside is not None:
            pictures = {"visible": visible, "thermal": np.repeat(thermal[:, :, None], 3, axis=2)}
            pictures["fused"] = fusion_core.fuse(thermal, visible, model=self._model)
            for name, picture in pictures.items():
                views[f"beside: {name}"] = seen_by(self._beside, picture, both)
        return views

    def look_at_streams(
        self, pair: Example, other: Example
    ) -> dict[str, tuple[Detector, Candidates]]:
        """Return what the pipeline finds, above its threshold, when either camera hangs."""
        if self._stream is None:
            return {}
        shown = {"thermal": (pair.first, other.second), "visible": (other.first, pair.second)}
        found = {hung: self._stream.detect(*images, hung) for hung, images in shown.items()}
        return {f"{k} hung": (self._default, grouped(v, self._default)) for k, v in found.items()}


def resized(pair: Example, shape: tuple[int, ...]) -> Example:
    """Return a pair with pictures of this height and width."""
    size = (shape[1], shape[0])
    return replace(pair, first=cv2.resize(pair.first, size), second=cv2.resize(pair.second, size))


def seen_by(
    detector: Detector, picture: UInt8Image, pair: AlignedPair
) -> tuple[Detector, Candidates]:
    """Return a detector and what it finds, be it ever so unsure."""
    return detector, grouped(detector.detect(picture, pair, score=LEAST_SCORE), detector)


def judge(folder: Path, lookers: Lookers) -> Set:
    """Return what is found in one set."""
    results = Set()
    with tempfile.TemporaryDirectory() as scratch:
        pairs = list_pairs([unpacked(folder, Path(scratch))])
        for number, paths in enumerate(pairs):
            pair = read_example(paths)
            other = read_example(pairs[(number + len(pairs) // 2) % len(pairs)])
            other = resized(other, pair.second.shape)
            beside_it = paths.folder / "labels"
            labels = read_labels(beside_it, paths.stem, *pair.second.shape)
            views = lookers.look(pair, other)
            results.add(views, labels)
            if hung := lookers.look_at_streams(pair, other):
                results.add_targets(views | hung, labels)
    return results


def show_scores(name: str, scores: dict[str, dict[str, dict[str, float]]]) -> None:
    """Print one set as rows of a Markdown table."""
    for view, classes in scores.items():
        cells = []
        for label in CLASSES:
            row = classes.get(label)
            values = [row[key] for key in ("ap50", "recall", "recall_at_one")] if row else []
            cells.append(" / ".join("–" if math.isnan(v) else f"{v:.2f}" for v in values) or "–")
        frequent = [row["ap50"] for row in classes.values() if row["objects"] >= LEAST_OBJECTS]
        cells.append(f"{np.mean(frequent):.3f}" if frequent else "–")
        print(f"| {name} | {view} | " + " | ".join(cells) + " |", flush=True)


def show_gains(report: dict[str, dict[str, Any]]) -> None:
    """Print what both cameras give beyond the better one, per set and class."""
    print("\n| set | class | both less the better one | 90 % interval |\n|---|---|---|---|")
    for name, found in report.items():
        for label, row in found["gains"].items():
            print(
                f"| {name} | {label} | {row['gain']:+.2f} | {row['low']:+.2f}, {row['high']:+.2f} |"
            )


def show_targets(results: dict[str, Set]) -> None:
    """Print what broken cameras cost, per set, camera and class, and in all."""
    head = ("set", "camera at work", "class", "targets", "both", "other black", *STATES[2:])
    print("\n| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    totals: dict[str, dict[str, int]] = {}
    for name, found in results.items():
        for (camera, label), row in found.targets.items():
            total = totals.setdefault(camera, dict.fromkeys(row, 0))
            for key, count in row.items():
                total[key] += count
            if row["targets"]:
                print(f"| {name} | {camera} | {label} | " + cells_of(row) + " |")
    for camera, row in totals.items():
        print(f"| all | {camera} | all | " + cells_of(row) + " |")


def cells_of(row: dict[str, int]) -> str:
    """Return counts as cells, those of a broken camera with the change from both."""
    whole = row["pair"]
    changes = [
        f"{row[state]} ({100 * (row[state] - whole) / whole:+.0f} %)" if whole else "–"
        for state in STATES[1:]
    ]
    return " | ".join([str(row["targets"]), str(whole), *changes])


def plain(found: Set) -> dict[str, Any]:
    """Return a set's results for JSON."""
    targets: dict[str, dict[str, dict[str, int]]] = {}
    for (camera, label), row in found.targets.items():
        targets.setdefault(camera, {})[label] = row
    return {"scores": found.scores(), "gains": found.gains(), "targets": targets}


def main() -> int:
    """Judge all sets."""
    parser = argparse.ArgumentParser(prog="scripts/bench_detector", description=__doc__)
    parser.add_argument("--data", nargs="+", type=Path, required=True, metavar="DIR")
    parser.add_argument("--detector", default="default", metavar="default|FILE.onnx")
    parser.add_argument("--beside", default="", metavar="FILE.onnx")
    parser.add_argument("--model", default="m2pn-edge", help="fuses what --beside looks at")
    parser.add_argument("--out", type=Path, metavar="FILE.json")
    options = parser.parse_args()
    lookers, results, report = Lookers(options), {}, {}
    columns = " | ".join(f"{label}: AP50 / recall / at one false" for label in CLASSES)
    print(f"| set | sees | {columns} | mean |\n|---|---|---|" + "---|" * len(CLASSES))
    for folder in options.data:
        name = dataset_name([folder])
        results[name] = judge(folder, lookers)
        report[name] = plain(results[name])
        show_scores(name, report[name]["scores"])
    show_gains(report)
    if options.beside:
        show_targets(results)
    if options.out:
        options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
