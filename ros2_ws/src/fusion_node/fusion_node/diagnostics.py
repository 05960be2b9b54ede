# Copyright 2026 The fusion-core maintainers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""The pipeline's status as diagnostics, one status per concern."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from fusion_core.pipeline import PipelineStatus
from fusion_node.alarm_messages import alarm_line

# Degradations that are at least this probable are named.
_LIKELY = 0.5
_STREAM_CONDITIONS = ("visible_", "thermal_", "time_", "clocks_")
# A message that is sent twice repeats a stamp; a stream of which so many do has a fault.
_REPEATED_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """State of the node itself, beside that of its pipeline.

    Attributes:
        state: Lifecycle state.
        problem: Why the node is not configured, empty when it is.
        deviation: How the last result deviates from the colour camera's pixels, empty when it does
            not.
        enabled: Whether fusing is switched on.
        has_subscribers: Whether any result topic has a subscriber, or a viewer shows results.
        received_hz: Messages per second since the last report, per stream.
        received: Messages since the node was activated, per stream.
        mismatches: Topic -> line on an incompatible quality of service seen there.
        camera_info: Stream -> state of its intrinsics.
        stamp_problems: What is wrong with the stamps of the cameras' headers, one line each.
        not_shown: Results that did not reach the viewer, by cause.
    """

    state: str
    problem: str
    deviation: str
    enabled: bool
    has_subscribers: bool
    received_hz: Mapping[str, float]
    received: Mapping[str, int]
    mismatches: Mapping[str, str]
    camera_info: Mapping[str, str]
    stamp_problems: Sequence[str] = ()
    not_shown: Mapping[str, int] = field(default_factory=dict)


def statuses(
    name: str, node: NodeStatus, pipeline: PipelineStatus | None
) -> list[DiagnosticStatus]:
    """Return all statuses of a node; without a pipeline only those of the node itself."""
    result = [_node(node), _transport(node)]
    if pipeline is not None:
        result += [
            _input(node, pipeline),
            _synchronisation(pipeline),
            _latency(pipeline),
            _model(pipeline),
            _detector(pipeline),
            _temperature(pipeline),
            _memory(pipeline),
            _scene_memory(pipeline),
            _prior(pipeline),
            _calibration(node, pipeline),
            _registration(pipeline),
        ]
    for status in result:
        status.name = f"{name}: {status.name}"
        status.hardware_id = name
    return result


def summary_from_report(report: DiagnosticArray, name: str) -> dict[str, Any]:
    """Return the counters and latencies of a node's report, named as in a run's `run.json`."""
    concerns = {
        status.name.removeprefix(f"{name}: "): {entry.key: entry.value for entry in status.values}
        for status in report.status
        if status.name.startswith(f"{name}: ")
    }
    if "model" not in concerns:
        return {}
    pairing, latency = concerns["synchronisation"], dict[str, dict[str, float]]()
    for key, value in concerns["latency"].items():
        stage, rank, _ = key.rsplit(" ", 2)
        latency.setdefault(stage, {})[rank] = float(value)
    return {
        "read": {
            key.removesuffix(" read"): int(value)
            for key, value in concerns["input"].items()
            if key.endswith(" read")
        },
        "pairs": int(pairing["pairs"]),
        "fused": int(pairing["fused"]),
        "drops": {
            key.removeprefix("dropped "): int(value)
            for key, value in pairing.items()
            if key.startswith("dropped ")
        },
        "drops_by_stream": _drops_by_stream(concerns["input"]),
        "latency_ms": latency,
        "model": concerns["model"]["model"],
        "device": concerns["model"]["device"],
        "detection": _detection(concerns.get("detector", {})),
    }


def _drops_by_stream(values: Mapping[str, str]) -> dict[str, dict[str, int]]:
    """Return what was dropped of each stream by cause, from the status of the input."""
    drops: dict[str, dict[str, int]] = {}
    for key, value in values.items():
        stream, separator, cause = key.partition(" dropped ")
        if separator:
            drops.setdefault(stream, {})[cause] = int(value)
    return drops


def _detection(values: Mapping[str, str]) -> dict[str, Any]:
    """Return a detector's counters by label, from its status."""
    return {
        kind: {
            key.removesuffix(f" {kind}"): int(value)
            for key, value in values.items()
            if key.endswith(f" {kind}")
        }
        for kind in ("detections", "objects")
    }


def _status(
    name: str, message: str, values: Iterable[tuple[str, object]], level: bytes
) -> DiagnosticStatus:
    pairs = [KeyValue(key=key, value=_text(value)) for key, value in values]
    return DiagnosticStatus(level=level, name=name, message=message, values=pairs)


def _text(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _warn_if(condition: object) -> bytes:
    level: bytes = DiagnosticStatus.WARN if condition else DiagnosticStatus.OK
    return level


def _node(node: NodeStatus) -> DiagnosticStatus:
    values = [
        ("state", node.state),
        ("enabled", node.enabled),
        ("subscribed", node.has_subscribers),
        *(("not shown " + cause, count) for cause, count in node.not_shown.items()),
    ]
    if node.problem:
        return _status("node", node.problem, values, DiagnosticStatus.ERROR)
    if node.state != "active":
        return _status("node", node.state, values, DiagnosticStatus.WARN)
    if not node.enabled:
        return _status("node", "disabled by ~/enable", values, DiagnosticStatus.OK)
    if node.deviation:
        return _status("node", node.deviation, values, DiagnosticStatus.WARN)
    message = "fusing" if node.has_subscribers else "idle: no result topic has a subscriber"
    return _status("node", message, values, DiagnosticStatus.OK)


def _transport(node: NodeStatus) -> DiagnosticStatus:
    message = "; ".join(node.mismatches.values()) or "no incompatible quality of service seen"
    values = [(topic, line) for topic, line in node.mismatches.items()]
    return _status("transport", message, values, _warn_if(node.mismatches))


def _input(node: NodeStatus, pipeline: PipelineStatus) -> DiagnosticStatus:
    silent = [name for name, rate in node.received_hz.items() if not rate]
    values: list[tuple[str, object]] = []
    for name, rate in node.received_hz.items():
        values += [
            (f"{name} received Hz", rate),
            (f"{name} received", node.received[name]),
            (f"{name} read", pipeline.read.get(name, 0)),
            (f"{name} used", pipeline.used.get(name, 0)),
        ]
        values += [
            (f"{name} dropped {cause}", count)
            for cause, count in sorted(pipeline.drops_by_stream.get(name, {}).items())
        ]
    problems = [f"no {' and no '.join(silent)} messages"] if silent else []
    problems += [*node.stamp_problems, *_repeated_stamps(pipeline)]
    message = "; ".join(problems) or "both streams arrive"
    return _status("input", message, values, _warn_if(problems))


def _repeated_stamps(pipeline: PipelineStatus) -> list[str]:
    """Return a line for each stream of which many frames repeat the stamp before them."""
    lines = []
    for name, drops in pipeline.drops_by_stream.items():
        count, read = drops.get("duplicate", 0), pipeline.read.get(name, 0)
        if read and count > _REPEATED_SHARE * read:
            lines.append(f"{count} of {read} {name} frames repeat the stamp before them")
    return lines


def _synchronisation(pipeline: PipelineStatus) -> DiagnosticStatus:
    conditions = [entry for entry in pipeline.health if entry.startswith(_STREAM_CONDITIONS)]
    values: list[tuple[str, object]] = [
        ("pairs", pipeline.pairs),
        ("fused", pipeline.fused),
        *pipeline.one_sided.items(),
        ("fused Hz", pipeline.rates_hz.get("fused", 0.0)),
        *((f"clocks {key}", value) for key, value in pipeline.clocks.items() if value is not None),
    ]
    values += [(f"dropped {cause}", count) for cause, count in sorted(pipeline.drops.items())]
    values += [(f"skew {rank} ms", value) for rank, value in pipeline.skew_ms.items()]
    message = ", ".join(conditions) or "pairing"
    if pipeline.clocks["problem"]:
        message = f"{message}: {pipeline.clocks['problem']}"
    return _status("synchronisation", message, values, _warn_if(conditions))


def _latency(pipeline: PipelineStatus) -> DiagnosticStatus:
    values = [
        (f"{stage} {rank} ms", value)
        for stage, ranks in pipeline.latency_ms.items()
        for rank, value in ranks.items()
    ]
    total = pipeline.latency_ms.get("total", {}).get("p50")
    message = "no frame fused yet" if total is None else f"{total:.1f} ms per frame (p50)"
    return _status("latency", message, values, DiagnosticStatus.OK)


def _model(pipeline: PipelineStatus) -> DiagnosticStatus:
    values = [
        ("model", pipeline.model),
        ("device", pipeline.device),
        ("last error", pipeline.last_error),
        ("failures", pipeline.fusion_failures),
        *([] if pipeline.text is None else [("text", pipeline.text)]),
        *((f"mask {key}", entry) for key, entry in pipeline.mask.items()),
        *((f"engine {key}", entry) for key, entry in pipeline.engine.items()),
    ]
    failures = {"failed", "fusion_failed", "fusion_timeout", "engine_away"}
    failing = bool(failures & set(pipeline.health))
    refused = "mask_rejected" in pipeline.health
    problem = pipeline.engine.get("problem", "")
    message = f"{pipeline.model} on {pipeline.device}"
    if refused:
        message = f"the mask is not used: {pipeline.mask['problem']}"
    if failing or problem:
        message = problem or pipeline.last_error
    return _status("model", message, values, _warn_if(failing or refused or problem))


def _detector(pipeline: PipelineStatus) -> DiagnosticStatus:
    detector = pipeline.detector
    if not detector:
        return _status("detector", "none", [], DiagnosticStatus.OK)
    values = [(key, entry) for key, entry in detector.items() if not isinstance(entry, Mapping)]
    for kind in ("detections", "objects"):
        values += [(f"{label} {kind}", count) for label, count in detector[kind].items()]
    failing = bool({"detector_failed", "detector_timeout"} & set(pipeline.health))
    message = f"{detector['output_format']} on {detector['provider']}"
    return _status(
        "detector", detector["last_error"] if failing else message, values, _warn_if(failing)
    )


def _temperature(pipeline: PipelineStatus) -> DiagnosticStatus:
    state = pipeline.temperature
    if not state:
        return _status("temperature", "no limit is set", [], DiagnosticStatus.OK)
    lines = [alarm_line(alarm) for alarm in state["alarms"]]
    values = [("alarms", len(lines)), ("alarms so far", state["raised"])]
    message = "; ".join(lines) or "within its limits"
    return _status("temperature", message, values, _warn_if(lines))


def _memory(pipeline: PipelineStatus) -> DiagnosticStatus:
    fresh = "memory_fresh" in pipeline.health
    message = "snapshot was unusable: started with a fresh bank" if fresh else "in use"
    if "memory_unsaved" in pipeline.health:
        message += "; memory.file is no snapshot and is left alone, the bank is not saved"
    # The per-slot statistics are for reports; here they would be hundreds of numbers.
    values = [entry for entry in pipeline.memory.items() if not isinstance(entry[1], tuple)]
    return _status("memory", message, values, _warn_if(fresh))


def _scene_memory(pipeline: PipelineStatus) -> DiagnosticStatus:
    state = pipeline.scene_memory
    if not state:
        return _status("scene memory", "off", [], DiagnosticStatus.OK)
    message = "nothing is hidden"
    if state["place"] is None:
        message = "at no remembered place"
    elif state["share"]:
        age_s, share = state["age_s"], 100 * state["share"]
        message = f"{share:.0f} % of the picture is shown as it was {age_s:.0f} s ago"
    return _status("scene memory", message, list(state.items()), DiagnosticStatus.OK)


def _prior(pipeline: PipelineStatus) -> DiagnosticStatus:
    prior = pipeline.prior
    if not prior:
        return _status("prior", "no provider is configured", [], DiagnosticStatus.OK)
    conditions = [entry for entry in pipeline.health if entry.startswith("prior_")]
    likely = [
        f"{modality} {kind} {score:.2f}"
        for modality in ("visible", "thermal")
        for kind, score in prior[modality].items()
        if score >= _LIKELY
    ]
    message = ", ".join(likely) or "nothing assessed yet"
    if prior["problem"] or conditions:
        message = ": ".join(filter(None, (", ".join(conditions), prior["problem"])))
    values = [(key, value) for key, value in prior.items() if not isinstance(value, Mapping)]
    return _status("prior", message, values, _warn_if(prior["problem"] or conditions))


def _calibration(node: NodeStatus, pipeline: PipelineStatus) -> DiagnosticStatus:
    values = [("rig", pipeline.calibration), *node.camera_info.items()]
    message = pipeline.calibration or "no rig file: images are taken as registered"
    wrong = [line for line in node.camera_info.values() if "does not fit" in line]
    wrong += filter(None, [pipeline.calibration_problem])
    return _status("calibration", "; ".join(wrong) or message, values, _warn_if(wrong))


def _registration(pipeline: PipelineStatus) -> DiagnosticStatus:
    registration = pipeline.registration
    low = "registration_low" in pipeline.health
    failed = "registration_failed" in pipeline.health
    if failed:
        message = "not measured: the process for that is lost, the last correction stays"
    elif not registration:
        message = "not refined: the calibration is used as it is"
    elif low:
        message = "low confidence: the pictures do not agree with any alignment"
    else:
        message = f"corrected by {registration['correction_px']:.1f} px"
    return _status("registration", message, registration.items(), _warn_if(low or failed))
