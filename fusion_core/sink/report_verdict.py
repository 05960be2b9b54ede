"""A run in words: what happened, and whether anything needs attention."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from fusion_core.pages import Verdict, figure
from fusion_core.sink.report_glossary import CONDITIONS
from fusion_core.sink.report_series import Timeline

_DROP_LIMIT: Final = 0.05
_CONDITION_LIMIT: Final = 0.01
_LISTED: Final = 3  # causes named in one sentence


def run_verdict(summary: Mapping[str, Any], timeline: Timeline) -> Verdict:
    """Return the verdict on a run.

    It needs attention when more than 5 % of the frames read were dropped, when a condition held
    for more than 1 % of the results, or when the detector failed.

    Args:
        summary: The content of ``run.json``.
        timeline: The results.
    """
    frames = sum(bucket.frames for bucket in timeline.buckets)
    warnings = [*_drops(summary), *_conditions(timeline, frames), *_detector(summary)]
    facts = [*_throughput(summary, frames), *_latency(summary)]
    if summary.get("error"):
        return Verdict("failed", "The run failed.", (str(summary["error"]), *facts, *warnings))
    if not frames:
        return Verdict("failed", "No frame was fused.", (*facts, *warnings))
    if warnings:
        headline = "The run finished, but some of it needs attention."
        return Verdict("attention", headline, (*warnings, *facts))
    return Verdict("good", "The run finished without problems.", tuple(facts))


def _throughput(summary: Mapping[str, Any], frames: int) -> Iterator[str]:
    fused = summary.get("fused", frames)
    of = f" of {figure(summary['pairs'])}" if "pairs" in summary else ""
    rate = f", {figure(summary['fps'])} per second" if summary.get("fps") else ""
    yield f"{figure(fused)}{of} pairs were fused{rate}."


def _latency(summary: Mapping[str, Any]) -> Iterator[str]:
    stages = summary.get("latency_ms", {})
    total = stages.get("end_to_end") or stages.get("total") or {}
    if "p50" in total and "p99" in total:
        yield (
            f"A pair took {figure(total['p50'])} ms in the median, and less than "
            f"{figure(total['p99'])} ms in 99 of 100 cases."
        )


def _drops(summary: Mapping[str, Any]) -> Iterator[str]:
    drops = {cause: count for cause, count in summary.get("drops", {}).items() if count}
    read, dropped = sum(summary.get("read", {}).values()), sum(drops.values())
    if dropped > _DROP_LIMIT * read:
        causes = sorted(drops.items(), key=lambda entry: -entry[1])[:_LISTED]
        listed = ", ".join(f"{cause} {figure(count)}" for cause, count in causes)
        share = f" ({dropped / read:.0%} of those read)" if read else ""
        yield f"{figure(dropped)} frames were dropped{share}: {listed}."


def _conditions(timeline: Timeline, frames: int) -> Iterator[str]:
    for name, count in timeline.conditions.most_common():
        if count > _CONDITION_LIMIT * frames:
            meaning = f": {CONDITIONS[name]}" if name in CONDITIONS else ""
            yield f"{name} held for {figure(count)} of {figure(frames)} results{meaning}."


def _detector(summary: Mapping[str, Any]) -> Iterator[str]:
    detection = summary.get("detection") or {}
    if detection.get("failures"):
        yield (
            f"The detector failed on {figure(detection['failures'])} frames: "
            f"{detection.get('last_error', '')}"
        )
