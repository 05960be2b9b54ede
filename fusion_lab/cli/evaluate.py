"""``fusion evaluate``: score fused images against their sources."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from fusion_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fusion_core.detection import Detector
    from fusion_lab.data import PairFiles
    from fusion_lab.evaluation import DetectionScores, Evaluation, Method, StreamScores


@dataclass(frozen=True)
class Evaluate:
    """Score models, folders of fused images and classical rules on registered pairs.

    Pairs are visible and infrared ones (vi/, ir/), or with --task differently exposed or focused
    ones (a/, b/). Where gt/ holds what fusion should give, PSNR, SSIM and MS-SSIM to it are
    computed as well.

    Metrics are computed in float64 on 8-bit gray images and averaged over the pairs. One method
    gives {"dataset", "pairs", "method", "metrics", "per_image"}; several give {"dataset",
    "pairs", "methods": [the same, with "mean_rank" over the headline metrics]}. A detector adds
    "detection": {"detector", "iou", "score_threshold", "pictures", "inputs": {name: {"mAP50",
    class: {"objects", "AP50", "AP", "recall", "precision", "recall_at_1_false_per_picture",
    "recall_at_0.1_false_per_picture"}}}}.

    With --visible and --thermal instead of --data, the pipeline runs over a recording and the
    stability of the fused stream is measured beside that of its sources: warping error along the
    optical flow and flicker of static regions, in gray levels.
    """

    out: Annotated[Path, tyro.conf.arg(metavar="FILE.json")]
    """Where the scores go."""
    data: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="DIR [DIR ...]")] = ()
    """Folders with vi/ and ir/ of equal stems, for --task mef and mff a/ and b/; optionally gt/."""
    task: Literal["vif", "mef", "mff"] = "vif"
    """Visible and infrared, multi-exposure, or multi-focus pairs."""
    video_set: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """A set of VF-Bench or M3SVD, unpacked: image metrics, BiSWE and MS2R of every clip, for each
    --model."""
    visible: Annotated[str | None, tyro.conf.arg(metavar="SRC")] = None
    """Visible stream of a recording, as for `fusion run`."""
    thermal: Annotated[str | None, tyro.conf.arg(metavar="SRC")] = None
    """Thermal stream of the recording."""
    max_frames: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Stop after this many pairs of the recording, or of each clip."""
    model: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME [NAME ...]")] = ()
    """Models to run and score: names of `fusion models`, or weights.safetensors of a training."""
    fused: Annotated[tuple[str, ...], tyro.conf.arg(metavar="[NAME=]DIR ...")] = ()
    """Folders of fused images with the pairs' stems, in any image format."""
    baselines: bool = False
    """Score classical rules as well: for vif max, mean, Laplacian pyramid and guided filter; for
    mef exposure fusion (Mertens) and mean; for mff the sharper pixel and mean."""
    metrics: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME [NAME ...]")] = ()
    """Metrics to compute, or `all`; default: those usual for the task, for vif EN SD SF AG MI SCD
    VIF Qabf SSIM NABF."""
    html: Annotated[Path | None, tyro.conf.arg(metavar="FILE.html")] = None
    """Write one self-contained page with the table, best and worst pictures."""
    workers: Annotated[int, tyro.conf.arg(metavar="N")] = 0
    """Threads that score; 0: one per core."""
    detector: Annotated[str, tyro.conf.arg(metavar="default|FILE.onnx")] = ""
    """Score by detection, too: average precision and recall of this detector on visible, thermal
    and fused images of data with labels/."""

    def run(self) -> int:
        """Score, write, and print the tables."""
        self._check_outputs()
        if self.video_set is not None:
            return self._run_video_set(self.video_set)
        if self.visible or self.thermal:
            return self._run_stream()
        if not self.data:
            raise UsageError("nothing to score: give --data DIR, or --visible and --thermal SRC")
        return self._run_pairs()

    def _check_outputs(self) -> None:
        """Refuse to replace pictures, models or recordings with what is written."""
        from fusion_core.source.image_files import matching_paths
        from fusion_lab.cli.paths import check_outputs

        named = [name for name in (self.visible, self.thermal) if name and "://" not in name]
        streams = [path for name in named for path in matching_paths(name)]
        fused = [text.partition("=")[2] or text for text in self.fused]
        files = [name for name in (*self.model, self.detector) if Path(name).is_file()]
        inputs: list[str | Path] = [*streams, *fused, *files]
        check_outputs(self.data, inputs, [self.out, self.html])

    def _run_stream(self) -> int:
        from tqdm import tqdm

        from fusion_lab.evaluation import evaluate_stream, stream_dict, write_json

        if not (self.visible and self.thermal and self.model):
            raise UsageError("a recording needs --visible SRC, --thermal SRC and --model NAME")
        if self.detector:
            raise UsageError("--detector scores labelled pictures: give --data DIR, no recording")
        with tqdm(unit="frame", desc="fusing", dynamic_ncols=True) as bar:
            scores = evaluate_stream(
                self.visible, self.thermal, self.model, self.max_frames, bar.update
            )
        write_json(self.out, stream_dict(self.visible, scores))
        _print_streams(self.visible, scores)
        return 0

    def _run_video_set(self, folder: Path) -> int:
        from tqdm import tqdm

        from fusion_lab.data import benchmark_clips
        from fusion_lab.evaluation import clips_dict, evaluate_clips, mean_scores, write_json

        if not self.model:
            raise UsageError("a set of videos needs --model NAME")
        clips = benchmark_clips(folder)
        with tqdm(unit="frame", desc="fusing", dynamic_ncols=True) as bar:
            models = {
                name: evaluate_clips(clips, name, self.max_frames, bar.update)
                for name in self.model
            }
        write_json(self.out, clips_dict(folder.name, models))
        for name, scores in models.items():
            values = "  ".join(f"{key} {value:.4g}" for key, value in mean_scores(scores).items())
            print(f"{name}: {len(scores)} clips: {values}")
        return 0

    def _run_pairs(self) -> int:
        from fusion_lab.data import dataset_name, list_pairs
        from fusion_lab.evaluation import write_html, write_json

        if self.html:
            from fusion_core.pages import require_page_packages

            require_page_packages("--html")
        self._check_options()
        methods, detector = self._methods(), self._detector()
        pairs = list_pairs(self.data, self.task)
        scores: dict[str, Any] = {"dataset": dataset_name(self.data), "pairs": len(pairs)}
        result = detection = None
        if methods:
            result = self._scored(pairs, methods)
            scores = result.as_dict()
        if detector is not None:
            detection = _scored_by_detection(detector, pairs, methods)
            scores["detection"] = detection.as_dict()
        write_json(self.out, scores)
        if result is not None:
            _print_table(result)
            if self.html:
                write_html(self.html, result, pairs, methods, detection)
        if detection is not None:
            _print_detection(detection)
        return 0

    def _scored(self, pairs: list[PairFiles], methods: list[Method]) -> Evaluation:
        from tqdm import tqdm

        from fusion_lab.data import dataset_name
        from fusion_lab.evaluation import evaluate

        total = len(pairs) * len(methods)
        with tqdm(total=total, unit="image", desc="scoring", dynamic_ncols=True) as bar:
            return evaluate(
                dataset_name(self.data),
                pairs,
                methods,
                self._metric_names(pairs),
                workers=self.workers,
                on_scored=bar.update,
            )

    def _detector(self) -> Detector | None:
        if not self.detector:
            return None
        if self.task != "vif":
            raise UsageError(f"--detector scores visible and thermal pictures, not {self.task}")
        from fusion_core.detection import Detector

        return Detector(self.detector)

    def _check_options(self) -> None:
        from fusion_lab.metrics import select_metrics

        if self.workers < 0:
            raise UsageError(f"--workers {self.workers}: must be at least 0")
        if self.metrics != ("all",):
            select_metrics(self.metrics)

    def _metric_names(self, pairs: list[PairFiles]) -> tuple[str, ...]:
        from fusion_lab.evaluation import default_metrics, has_targets
        from fusion_lab.metrics import METRICS

        if self.metrics == ("all",):
            targets = has_targets(pairs)
            return tuple(n for n, metric in METRICS.items() if targets or not metric.needs_target)
        return self.metrics or default_metrics(pairs)

    def _methods(self) -> list[Method]:
        from fusion_lab.evaluation import FolderMethod, ModelMethod, task_methods

        methods: list[Method] = [ModelMethod(name) for name in self.model]
        methods += [FolderMethod.parse(text) for text in self.fused]
        if self.baselines:
            methods += task_methods(self.task)
        if not methods and (self.html or not self.detector):
            raise UsageError(
                "nothing to score: give --model NAME, --fused DIR or --baselines; --detector alone "
                "scores the sources, without --html"
            )
        return methods


def _print_streams(name: str, scores: Sequence[StreamScores]) -> None:
    print(f"{name}: {scores[0].temporal.frames} frames; gray levels")
    print(f"{'method':<12}{'':<16}{'fused':>9}{'visible':>9}{'thermal':>9}")
    for entry in scores:
        for title in ("warping_error", "flicker"):
            v = getattr(entry.temporal, title)
            line = f"{title:<16}{v.fused:9.3f}{v.visible:9.3f}{v.thermal:9.3f}"
            print(f"{entry.model:<12}{line}")
        video = entry.video
        print(f"{entry.model:<12}BiSWE {video.biswe:.3f}  MS2R {video.ms2r:.3f} px (VF-Bench)")


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


def _scored_by_detection(
    detector: Detector, pairs: list[PairFiles], methods: list[Method]
) -> DetectionScores:
    from tqdm import tqdm

    from fusion_lab.evaluation import score_by_detection

    with tqdm(total=len(pairs), unit="pair", desc="detecting", dynamic_ncols=True) as bar:
        return score_by_detection(detector, pairs, methods, bar.update)


def _print_detection(detection: DetectionScores) -> None:
    print(f"{detection.detector}: {detection.pictures} pictures, IoU 0.5")
    print(
        "R: recall, P: precision at its threshold; R@1: recall at one false detection per picture"
    )
    width = max(len("picture"), *(len(name) for name in detection.inputs))
    labels = [name for name, s in next(iter(detection.inputs.values())).items() if s.objects]
    head = "".join(f"  {name:>8}   AP50      R      P    R@1" for name in labels)
    print("picture".ljust(width) + f"  {'mAP50':>6}" + head)
    for name, classes in detection.inputs.items():
        row = f"{name.ljust(width)}  {detection.mean_ap50(name):6.3f}"
        for label in labels:
            scores = classes[label]
            values = (scores.ap50, scores.recall, scores.precision, scores.recall_at_one)
            row += f"  {scores.objects:>8}" + "".join(f" {value:6.3f}" for value in values)
        print(row)
