"""Temporal stability of whole pipelines on video, beside that of the sources."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from fusion_core.config import Config
from fusion_core.errors import SourceError
from fusion_core.pipeline import Pipeline
from fusion_core.source import open_source
from fusion_core.types import FusedFrame, UInt8Image
from fusion_lab.evaluation.scoring import finite
from fusion_lab.metrics import PerStream, TemporalMeter, TemporalResult, VideoMeter, VideoResult


@dataclass(frozen=True, slots=True)
class StreamScores:
    """Stability of one model's fused stream.

    Attributes:
        model: Name of the model.
        temporal: Warping error and flicker of the fused stream and of both sources.
        video: The temporal measures of VF-Bench.
    """

    model: str
    temporal: TemporalResult
    video: VideoResult


def evaluate_stream(
    visible: str,
    thermal: str,
    models: Sequence[str],
    max_frames: int | None = None,
    on_frame: Callable[[], object] = lambda: None,
) -> tuple[StreamScores, ...]:
    """Run the pipeline with each model over a registered recording.

    Args:
        visible: Source of the visible stream, as for ``fusion run``.
        thermal: Source of the thermal stream.
        models: Names of models.
        max_frames: Stop after this many pairs; None runs to the end.
        on_frame: Called after each fused frame.

    Raises:
        SourceError: Fewer than two pairs could be fused.
        UsageError: A model or source is not known.
    """
    scores = []
    for name in models:
        meter, video = TemporalMeter(), VideoMeter()
        with (
            open_source(visible=visible, thermal=thermal) as source,
            Pipeline(Config(model=name, prior="none", detector="none")) as pipeline,
        ):
            for fused in islice(pipeline.stream(source), max_frames):
                _add((meter, video), fused)
                on_frame()
        result = meter.result()
        if result.frames < 2:
            raise SourceError(f"{visible}: {result.frames} pairs; stability needs at least two")
        scores.append(StreamScores(name, result, video.result()))
    return tuple(scores)


def stream_dict(dataset: str, scores: Sequence[StreamScores]) -> dict[str, Any]:
    """Return plain data for JSON; undefined values become null."""
    methods = [{"method": s.model, **_plain(s.temporal), **_plain_video(s.video)} for s in scores]
    return {"dataset": dataset, "frames": scores[0].temporal.frames, "methods": methods}


def _add(meters: Sequence[TemporalMeter | VideoMeter], fused: FusedFrame) -> None:
    """Measure a frame; one with a side missing shows nothing of fusion and is left out."""
    aligned = fused.aligned
    if aligned.visible is None or aligned.thermal is None:
        return
    thermal: UInt8Image = (aligned.thermal * 255).round().astype("uint8")
    for meter in meters:
        meter.update(fused.image, aligned.visible, thermal)


def _plain_video(result: VideoResult) -> dict[str, Any]:
    return {"BiSWE": finite(result.biswe), "MS2R": finite(result.ms2r)}


def _plain(result: TemporalResult) -> dict[str, Any]:
    return {
        "warping_error": _per_stream(result.warping_error),
        "flicker": _per_stream(result.flicker),
        "static_share": finite(result.static_share),
    }


def _per_stream(values: PerStream) -> dict[str, float | None]:
    return {name: finite(value) for name, value in dataclasses.asdict(values).items()}
