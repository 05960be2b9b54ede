"""The summary of a run: on screen, and as ``run.json`` beside the first output."""

from __future__ import annotations

import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fusion_core.runtime.files import atomic_path

if TYPE_CHECKING:
    from fusion_core.config import Config
    from fusion_core.pipeline import PipelineStatus
    from fusion_core.runtime.meters import LatencyMeter

_PACKAGES = ("fusion-core", "torch", "numpy", "opencv-python-headless", "av")


def summarise(
    status: PipelineStatus, config: Config, elapsed_s: float, sinks: LatencyMeter, error: str
) -> dict[str, Any]:
    """Return everything worth keeping of a run, as plain values."""
    return {
        "read": dict(status.read),
        "pairs": status.pairs,
        "fused": status.fused,
        "drops": dict(status.drops),
        "latency_ms": {**status.latency_ms, **sinks.percentiles()},
        "skew_ms": dict(status.skew_ms),
        "fps": round(status.fused / elapsed_s, 2) if elapsed_s > 0 else 0.0,
        "elapsed_s": round(elapsed_s, 3),
        "model": status.model,
        "prior": config.prior,
        "priors": dict(status.prior),
        "detector": config.detector,
        "detection": dict(status.detector),
        "device": status.device,
        "calibration": status.calibration,
        "registration": dict(status.registration),
        "memory": dict(status.memory),
        "mask": dict(status.mask),
        "error": error,
        "config": config.to_dict(),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in _PACKAGES},
        },
    }


def write_summary(summary: dict[str, Any], first_output: str) -> Path:
    """Write ``run.json`` beside the first output, whole or not at all."""
    place = Path(first_output.removeprefix("bag:").rstrip("/"))
    folder = Path() if "://" in first_output else place.parent
    target = folder / "run.json"
    with atomic_path(target) as temporary:
        temporary.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    return target


def print_summary(summary: dict[str, Any], outputs: list[str]) -> None:
    """Print what was read, fused, dropped, how fast, and where it is."""
    read = ", ".join(f"{count} {name}" for name, count in summary["read"].items())
    drops = ", ".join(f"{count} {cause}" for cause, count in summary["drops"].items()) or "none"
    print(f"read     {read}")
    print(f"fused    {summary['fused']} of {summary['pairs']} pairs at {summary['fps']} fps")
    print(f"dropped  {drops}")
    print(f"model    {summary['model']} on {summary['device']}")
    if found := summary["detection"]:
        print(f"detector {found['file']} ({found['output_format']}, {found['provider']})")
        print(f"found    {_found(found)}")
    if marked := summary["mask"]:
        print(f"mask     {marked['source']}, something marked in {marked['frames']} frames")
    for stage, ranks in summary["latency_ms"].items():
        values = "  ".join(f"{rank} {value:7.2f}" for rank, value in ranks.items())
        print(f"  {stage:<13s}{values}  ms")
    print("written  " + "\n         ".join(outputs))


def _found(detection: dict[str, Any]) -> str:
    """Return detections and tracked objects by class, and failures, as one line."""
    objects = detection["objects"]
    parts = [
        f"{count} {label}" + (f" ({objects[label]} tracked)" if label in objects else "")
        for label, count in detection["detections"].items()
    ]
    if detection["failures"]:
        parts.append(f"failed on {detection['failures']} frames: {detection['last_error']}")
    return ", ".join(parts) or "nothing"
