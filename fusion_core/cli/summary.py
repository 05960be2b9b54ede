"""The summary of a run: on screen, and as ``run.json`` beside the first output."""

from __future__ import annotations

import itertools
import json
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fusion_core.errors import SinkError
from fusion_core.runtime.files import atomic_path
from fusion_core.sink.factory import output_path

if TYPE_CHECKING:
    from fusion_core.config import Config
    from fusion_core.pipeline import PipelineStatus
    from fusion_core.runtime.meters import LatencyMeter

_MANY: Final = 0.05  # share of the pairs
_FASTEST: Final = "m2pn-nano"
_PACKAGES = (
    "fusion-core",
    "torch",
    "onnxruntime",
    "openvino",
    "numpy",
    "opencv-python-headless",
    "av",
)


def summarise(
    status: PipelineStatus,
    config: Config,
    elapsed_s: float,
    *,
    sinks: LatencyMeter,
    outputs: list[str],
    not_shown: Mapping[str, Mapping[str, int]],
    error: str,
    warnings: list[str],
) -> dict[str, Any]:
    """Return everything worth keeping of a run, as plain values.

    Args:
        status: The pipeline's, at the end.
        config: What it was built with.
        elapsed_s: From the first frame asked for to the last one written, in seconds.
        sinks: Meter of what writing takes.
        outputs: Files, folders and addresses written to, as given.
        not_shown: Results that did not reach a viewer, by output and cause.
        error: What ended the run, empty when nothing failed.
        warnings: What was warned of.
    """
    return {
        "read": dict(status.read),
        "used": dict(status.used),
        "pairs": status.pairs,
        "fused": status.fused,
        "one_sided": dict(status.one_sided),
        "clocks": dict(status.clocks),
        "drops": dict(status.drops),
        "drops_by_stream": {name: dict(drops) for name, drops in status.drops_by_stream.items()},
        "latency_ms": {**status.latency_ms, **sinks.percentiles()},
        "skew_ms": dict(status.skew_ms),
        "fps": round(status.fused / elapsed_s, 2) if elapsed_s > 0 else 0.0,
        "elapsed_s": round(elapsed_s, 3),
        "model": status.model,
        **({} if status.text is None else {"text": status.text}),
        "fusion_failures": status.fusion_failures,
        "prior": config.prior,
        "priors": dict(status.prior),
        "detector": config.detector,
        "detection": dict(status.detector),
        "device": status.device,
        "engine": dict(status.engine),
        "calibration": status.calibration,
        "registration": dict(status.registration),
        "memory": dict(status.memory),
        "scene_memory": dict(status.scene_memory),
        "mask": dict(status.mask),
        "outputs": outputs,
        "not_shown": {name: dict(causes) for name, causes in not_shown.items()},
        "error": error,
        "warnings": list(warnings),
        "config": config.to_dict(),
        "versions": {
            "python": platform.python_version(),
            **{name: _version(name) for name in _PACKAGES},
        },
    }


def _version(package: str) -> str:
    """Return a package's version, ``absent`` for one that this machine does without."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def write_summary(summary: dict[str, Any]) -> Path:
    """Write ``run.json`` beside the first output, whole or not at all, and return its path.

    A ``run.json`` of an earlier run is replaced only when that run wrote the same outputs and this
    one did not fail; otherwise this one is ``run-2.json``, by the same rule, and so on. Without an
    output it goes into the current folder.

    Raises:
        SinkError: It cannot be written.
    """
    place = output_path(summary["outputs"][0]) if summary["outputs"] else None
    first = (place.parent if place else Path()) / "run.json"
    numbered = (first.with_name(f"run-{number}.json") for number in itertools.count(2))
    target = next(path for path in itertools.chain([first], numbered) if _is_free(path, summary))
    try:
        with atomic_path(target) as temporary:
            temporary.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise SinkError(
            f"{target}: cannot be written ({error.strerror}); make room or choose another place"
        ) from None
    return target


def _is_free(path: Path, summary: dict[str, Any]) -> bool:
    """Tell whether a summary may take this name."""
    if not path.exists():
        return True
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    same = isinstance(content, dict) and content.get("outputs") == summary["outputs"]
    return same and not summary["error"]


def print_summary(summary: dict[str, Any], written: Path | None) -> None:
    """Print what was read, fused, dropped, how fast, and which outputs there are.

    Args:
        summary: Of :func:`summarise`.
        written: The file that holds it, None where it could not be written.
    """
    read = _counts(summary["read"])
    print(f"read     {read or 'nothing'}")
    print(f"fused    {summary['fused']} of {summary['pairs']} pairs at {summary['fps']} fps")
    if any(summary.get("one_sided", {}).values()):
        print(f"one-sided {_counts(summary['one_sided'])}")
    if summary["drops"]:
        print(f"dropped  {_counts(summary['drops'])}")
    elif summary["pairs"]:
        print("dropped  none")
    for stream, drops in summary.get("drops_by_stream", {}).items():
        if drops:
            print(f"  {stream:<13s}{_counts(drops)}")
    if slow := _slow(summary):
        print(f"slow     {slow}")
    _print_network(summary)
    if found := summary["detection"]:
        print(f"detector {found['file']} ({found['output_format']}, {found['provider']})")
        print(f"found    {_found(found)}")
    if recalled := summary["scene_memory"].get("recalled"):
        print(f"recalled parts of {recalled} pictures from the scene memory")
    if marked := summary["mask"]:
        print(f"mask     {marked['source']}, not empty in {marked['frames']} frames")
    for name, causes in summary.get("not_shown", {}).items():
        print(f"not shown {_counts(causes)} ({name})")
    for stage, ranks in summary["latency_ms"].items():
        values = "  ".join(f"{rank} {value:7.2f}" for rank, value in ranks.items())
        print(f"  {stage:<13s}{values}  ms")
    paths = ((name, output_path(name)) for name in summary["outputs"])
    present = [name for name, path in paths if path is None or path.exists()]
    present += [str(written)] if written else []
    print("written  " + ("\n         ".join(present) or "nothing"))


def _print_network(summary: dict[str, Any]) -> None:
    print(f"model    {summary['model']} on {summary['device']}")
    engine = summary["engine"]
    if "endpoint" in engine:
        print(f"engine   {engine['endpoint']}, {engine['sessions']} session(s)")
    elif engine:
        print(f"engine   {engine['kind']}" + (f" ({why})" if (why := engine.get("choice")) else ""))
    away = engine.get("frames_away", 0)
    if away:
        print(f"away     on {away} frames, which show the plain mean of both cameras")
    if failed := summary["fusion_failures"] - away:
        print(f"network  failed on {failed} frames, which show the visible picture alone")


def _slow(summary: dict[str, Any]) -> str:
    """Return what to do where many pairs came while another was at work; empty where few did."""
    lost = summary["drops"].get("busy", 0)
    if lost <= _MANY * summary["pairs"]:
        return ""
    faster = "--detector none" if summary["model"] == _FASTEST else f"--model {_FASTEST}"
    return f"{lost} pairs came while another was at work; faster: {faster}"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


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
