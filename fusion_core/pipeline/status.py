"""What a pipeline knows of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class PipelineStatus:
    """What the pipeline knows of itself at one moment.

    Attributes:
        read: Frames taken in, per stream.
        rates_hz: Events per second over the last seconds: ``visible``, ``thermal``, ``fused``.
        pairs: Pairs formed.
        fused: Pairs fused.
        drops: What was dropped, by cause: frames; for ``busy``, ``failed`` and ``frozen`` pairs.
        latency_ms: Stage -> ``p50``, ``p95``, ``p99``; ``network`` is part of ``fusion``,
            ``age`` is from pairing to result.
        skew_ms: ``p50``, ``p95``, ``p99`` of the absolute skew of pairs.
        model: Name of the model; of model ``auto`` with the one that the prior picked.
        device: Where the network runs.
        calibration: Rig file, empty without one.
        registration: Refinement of the calibration, empty where it is off: ``confidence``,
            ``residual_px``, ``correction_px``, ``measured``, ``accepted``.
        memory: Statistics of the memory bank; empty for a model without one.
        detector: What the detector is, and its counters; empty without one.
        prior: What the provider of scene priors does and says; empty without one.
        mask: Where masks come from and how many; empty for a model that takes none.
        health: Conditions of the newest result.
        last_error: Newest error survived, empty when there was none.
    """

    read: Mapping[str, int]
    rates_hz: Mapping[str, float]
    pairs: int
    fused: int
    drops: Mapping[str, int]
    latency_ms: Mapping[str, Mapping[str, float]]
    skew_ms: Mapping[str, float]
    model: str
    device: str
    calibration: str
    registration: Mapping[str, Any]
    memory: Mapping[str, Any]
    detector: Mapping[str, Any]
    prior: Mapping[str, Any]
    mask: Mapping[str, Any]
    health: tuple[str, ...]
    last_error: str
