"""Models on public sets of videos: image metrics and the temporal measures of VF-Bench."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import numpy as np

from fusion_core.errors import SourceError
from fusion_core.source import open_source
from fusion_core.types import UInt8Image
from fusion_lab.data import Clip, Example
from fusion_lab.evaluation.methods import ModelMethod
from fusion_lab.evaluation.scoring import finite
from fusion_lab.metrics import VideoMeter, compute_all, to_gray

_METRICS: Final = ("VIF", "SSIM", "MI", "Qabf")


@dataclass(frozen=True, slots=True)
class ClipScores:
    """Scores of one model on one clip.

    Attributes:
        clip: Name of the scene.
        frames: Frames that were fused.
        metrics: VIF, SSIM, MI, Qabf (mean over the frames; for exposures MEF_SSIM_2015 in the
            place of SSIM), BiSWE and MS2R.
    """

    clip: str
    frames: int
    metrics: Mapping[str, float]


def evaluate_clips(
    clips: Sequence[Clip],
    model: str,
    max_frames: int | None = None,
    on_frame: Callable[[], object] = lambda: None,
) -> tuple[ClipScores, ...]:
    """Fuse clips frame by frame and score them.

    Args:
        clips: Clips of :func:`fusion_lab.data.benchmark_clips`.
        model: Name of a model.
        max_frames: Frames of each clip; None for all.
        on_frame: Called after each frame.

    Raises:
        SourceError: A clip has no frames, or frames of two sizes.
        UsageError: The model is unknown, or does not do the clips' task.
    """
    return tuple(_clip_scores(clip, ModelMethod(model), max_frames, on_frame) for clip in clips)


def mean_scores(scores: Sequence[ClipScores]) -> dict[str, float]:
    """Return metric -> mean over the clips, each counted once."""
    return {
        name: float(np.nanmean([entry.metrics[name] for entry in scores]))
        for name in scores[0].metrics
    }


def clips_dict(dataset: str, models: Mapping[str, Sequence[ClipScores]]) -> dict[str, Any]:
    """Return plain data for JSON; undefined values become null."""
    return {
        "dataset": dataset,
        "methods": [
            {
                "method": model,
                "clips": len(scores),
                "metrics": {name: finite(value) for name, value in mean_scores(scores).items()},
                "per_clip": [
                    {
                        "clip": entry.clip,
                        "frames": entry.frames,
                        "metrics": {k: finite(v) for k, v in entry.metrics.items()},
                    }
                    for entry in scores
                ],
            }
            for model, scores in models.items()
        ],
    }


def _clip_scores(
    clip: Clip, method: ModelMethod, max_frames: int | None, on_frame: Callable[[], object]
) -> ClipScores:
    names = tuple("MEF_SSIM_2015" if n == "SSIM" and clip.task == "mef" else n for n in _METRICS)
    meter = VideoMeter()
    rows: list[dict[str, float]] = []
    for example in islice(_examples(clip), max_frames):
        fused = method.fuse(example)
        sources = to_gray(example.first), to_gray(example.second)
        rows.append(compute_all(to_gray(fused), sources, names))
        meter.update(fused, example.first, example.second)
        on_frame()
    if not rows:
        raise SourceError(f"{clip.first}: no frames; both streams of a clip need some")
    result = meter.result()
    means = {name: float(np.nanmean([row[name] for row in rows])) for name in names}
    return ClipScores(clip.name, len(rows), {**means, "BiSWE": result.biswe, "MS2R": result.ms2r})


def _examples(clip: Clip) -> Iterator[Example]:
    """Iterate over the pairs of a clip, in the order of its frames."""
    with (
        open_source(visible=clip.first) as first,
        open_source(visible=clip.second) as second,
    ):
        for one, other in zip(first.frames(), second.frames(), strict=False):
            pictures = [np.asarray(frame.image, np.uint8) for frame in (one, other)]
            if pictures[0].shape != pictures[1].shape:
                raise SourceError(
                    f"{clip.first}: frame {one.sequence} of {pictures[0].shape[:2]} and "
                    f"{pictures[1].shape[:2]} pixels (rows, columns); register them to one size"
                )
            partner: UInt8Image = to_gray(pictures[1]) if clip.task == "vif" else pictures[1]
            yield Example(
                first=pictures[0],
                second=partner,
                target=None,
                task=clip.task,
                text="",
                mask=None,
                labels=None,
                folder=clip.first,
                name=one.name or str(one.sequence),
                scene=clip.name,
            )
