"""Counters and state of a pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class PipelineStatus:
    """Counters and state of a pipeline at one moment.

    Of each stream, frames read = frames used + frames dropped by a cause of the pairing
    (``fusion_core.sync.CAUSES``) or as part of a bracket (``bracketed``, ``bracket_incomplete``) +
    frames that wait for a partner. Pairs = fused + dropped as
    ``busy``, ``frozen``, ``failed`` or ``abandoned`` + pairs that wait. ``unknown_encoding``,
    ``corrupt``, ``queue_full``, ``lost_on_wire`` and ``unread`` happen before a frame is read.

    Attributes:
        read: Frames taken in, per stream.
        used: Frames that were part of at least one pair, per stream.
        rates_hz: Events per second over the last seconds: ``visible``, ``thermal``, ``fused``.
        pairs: Pairs formed.
        fused: Pairs fused, those of one stream alone included.
        one_sided: Of these, results of one stream alone: ``visible_only``, ``thermal_only``.
        clocks: How the streams' clocks compare: ``difference_s``, ``start_difference_s``,
            ``thermal_offset_ms``, ``auto``, ``problem``.
        drops: What was dropped, by cause, the sum of both streams.
        drops_by_stream: Stream -> cause -> frames dropped; a pair counts with its leading frame.
        latency_ms: Stage -> ``p50``, ``p95``, ``p99``; ``network`` is part of ``fusion``,
            ``age`` is from pairing to result.
        skew_ms: ``p50``, ``p95``, ``p99`` of the absolute skew of pairs.
        model: Name of the model; of model ``auto`` with the one that the prior picked.
        device: Where the network runs.
        engine: State of the server that runs it: ``endpoint``, ``state``, ``sessions``,
            ``problem``, ``frames_away``; empty where it runs in this process.
        calibration: Rig file, empty without one.
        calibration_problem: What the calibration ``tf`` still lacks, empty when nothing.
        registration: Refinement of the calibration, empty where it is off: ``confidence``,
            ``residual_px``, ``correction_px``, ``measured``, ``accepted``.
        memory: Statistics of the memory bank; empty for a model without one.
        scene_memory: Places remembered and what is recalled of them; empty where it is off.
        detector: What the detector is, and its counters; empty without one.
        temperature: ``alarms`` that are on, and how many were ``raised``; empty without limits.
        prior: State of the provider of scene priors and its newest prior; empty without one.
        mask: Where masks come from and how many; empty for a model that takes none.
        text: The text in force; None for a model that reads none.
        health: Conditions of the newest result.
        last_error: Newest error that did not end the stream, empty when there was none.
        fusion_failures: Results without the network's picture, as it failed or timed out.
    """

    read: Mapping[str, int]
    used: Mapping[str, int]
    rates_hz: Mapping[str, float]
    pairs: int
    fused: int
    one_sided: Mapping[str, int]
    clocks: Mapping[str, Any]
    drops: Mapping[str, int]
    drops_by_stream: Mapping[str, Mapping[str, int]]
    latency_ms: Mapping[str, Mapping[str, float]]
    skew_ms: Mapping[str, float]
    model: str
    device: str
    engine: Mapping[str, Any]
    calibration: str
    calibration_problem: str
    registration: Mapping[str, Any]
    memory: Mapping[str, Any]
    scene_memory: Mapping[str, Any]
    detector: Mapping[str, Any]
    temperature: Mapping[str, Any]
    prior: Mapping[str, Any]
    mask: Mapping[str, Any]
    text: str | None
    health: tuple[str, ...]
    last_error: str
    fusion_failures: int


def pairing_problem(status: PipelineStatus) -> str:
    """Return one line on results that mostly show one stream alone, empty when most show both."""
    alone = sum(status.one_sided.values())
    if not alone or 2 * alone < status.fused:
        return ""
    counts = ", ".join(f"{count} {name}" for name, count in status.one_sided.items() if count)
    line = f"{status.fused - alone} of {status.fused} results show both streams ({counts})"
    if status.clocks["problem"]:
        return f"{line}: {status.clocks['problem']}"
    start = status.clocks["start_difference_s"]
    missing = [name for name, count in status.read.items() if not count]
    if start is None:
        return f"{line}: no {' and no '.join(missing) or 'usable'} frame was read"
    return (
        f"{line}: thermal stamps begin {start:+.1f} s from the visible ones; where that is no "
        "true difference, set sync.thermal_offset_ms, or set it to auto; otherwise check what was "
        "dropped"
    )
