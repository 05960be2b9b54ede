"""The pipeline: the only file that sees all rooms."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from fusion_core.config import Config
from fusion_core.detection import DetectionStage, Detector
from fusion_core.engine import Engine, SwitchingEngine, open_bank, pick_device
from fusion_core.errors import FusionError, SourceError, UsageError
from fusion_core.masks import MaskKeeper
from fusion_core.memory import MemoryBank, SnapshotKeeper
from fusion_core.models import CtrlFuse, Fuser, load_model
from fusion_core.priors import PriorKeeper, open_provider
from fusion_core.registration import Registrar, Rig
from fusion_core.runtime.closing import Closing
from fusion_core.runtime.latest import LatestSlot
from fusion_core.runtime.meters import LatencyMeter, RateMeter, StageTimer
from fusion_core.source import Source
from fusion_core.sync import SyncConfig, Synchronizer
from fusion_core.thermal import ThermalProcessor
from fusion_core.types import (
    AlignedPair,
    Detection,
    FloatImage,
    Frame,
    FramePair,
    FusedFrame,
    Modality,
    ScenePrior,
    ThermalImage,
    UInt8Image,
)

_log = logging.getLogger(__name__)
_JOIN_S = 10.0
# Probability of low contrast from which the thermal gain control steps in.
_FLAT = 0.8


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
            ``residual_px``, ``correction_px``, ``measured``, ``trusted``.
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


class Pipeline(Closing):
    """Turn two camera streams into one fused stream.

    Recorded input: iterate ``stream(source)``; it waits for the network and loses nothing.
    Live input: ``start(callback)``, then ``offer`` frames from any thread; the newest pair wins.

    Args:
        config: What to do; the defaults when None.
        forgive_memory: With an unusable memory snapshot, set the file aside, start with a fresh
            bank and report ``memory_fresh``, instead of raising.

    Raises:
        UsageError: Unknown model or device, or a prior that the model cannot read.
        WeightsError: The model's or the provider's weights are missing or torn.
        MissingExtraError: The provider needs a package that is not installed.
        CalibrationError: The rig file is malformed.
        MemoryBankError: The snapshot is torn or foreign, and not forgiven.
        MaskError: The file or folder of masks is missing or holds none.
        DetectorError: The detector's file is missing, broken or of an unknown form.
    """

    def __init__(self, config: Config | None = None, *, forgive_memory: bool = False) -> None:
        self.config = config = config or Config()
        if config.threads:
            torch.set_num_threads(config.threads)
        self._device = pick_device(config.device)
        model, bank, self._engine = _open_engine(config, self._device)
        snapshot = Path(config.memory.file) if config.memory.file else None
        self._keeper = SnapshotKeeper(bank, snapshot, config.memory.save_every_s)
        self._start_health = self._keeper.restore(forgive=forgive_memory)
        rig = Rig.load(config.calibration) if config.calibration else None
        self._registrar = Registrar(rig, config.registration)
        self._detection = _detection_stage(config, self._device)
        self._thermal = ThermalProcessor(config.thermal)
        self._masks = _mask_keeper(config, model)
        self._live = False
        self._priors: PriorKeeper | None = None
        if config.prior != "none":
            provider = open_provider(config.prior, config.priors, self._device.type)
            self._engine.check_prior(provider.name, provider.dim)
            self._priors = PriorKeeper(provider, config.priors)
        self._sync = Synchronizer(_with_offset(config.sync, rig))
        self._sync_lock = threading.Lock()
        self._pairs = 0
        self._fused = 0
        self._drops: Counter[str] = Counter()
        self._drops_lock = threading.Lock()
        self._rates = {name: RateMeter() for name in ("visible", "thermal", "fused")}
        self._latency = LatencyMeter()
        self._skew = LatencyMeter()
        self._health: tuple[str, ...] = self._start_health
        self._last_error = ""
        self._slot: LatestSlot[tuple[FramePair, float]] = LatestSlot()
        self._worker: threading.Thread | None = None

    def step(self, pair: FramePair) -> FusedFrame | None:
        """Fuse one pair; None when the policy skips it (closed thermal shutter).

        Raises:
            EncodingError: A frame cannot be understood.
            CalibrationError: The images do not fit each other or the rig.
        """
        timer = StageTimer()
        with timer("total"):
            with timer("thermal"):
                thermal, health = self._thermal_image(pair)
            if thermal is None and pair.visible is None:
                return None
            with timer("registration"):
                aligned = self._registrar.align(pair.stamp_ns, pair.visible, thermal)
            if aligned.confidence < self.config.registration.min_confidence:
                health += ("registration_low",)
            with timer("prior"):
                prior, prior_health = self._prior(aligned)
            with timer("mask"):
                mask, conditions = self._mask(aligned, pair)
                health += conditions
            with timer("fusion"):
                result = self._engine.fuse(aligned, prior, mask)
            detections: tuple[Detection, ...] = ()
            if self._detection is not None:
                with timer("detection"):
                    detections, conditions = self._detection.run(result.image, aligned)
                health += conditions
                if self._masks is not None:
                    self._masks.found(detections, pair.stamp_ns)
        health += prior_health
        timer.timings["network"] = result.network_ms
        self._keeper.tick()
        self._note(timer.timings, pair, health)
        return FusedFrame(
            frame=self._fused - 1,
            stamp_ns=pair.stamp_ns,
            image=result.image,
            pair=pair,
            aligned=aligned,
            detections=detections,
            prior=prior,
            timings=timer.timings,
            drops=self.drops,
            health=health,
            quality=result.quality,
            memory_slot=result.memory_slot,
            model=result.model,
        )

    def stream(self, source: Source) -> Iterator[FusedFrame]:
        """Fuse everything a source gives, in order.

        Recorded sources wait for the network. Live sources do not: the newest pair wins.

        Raises:
            SourceError: The input broke; what came before has been fused and yielded.
        """
        yield from self._stream_live(source) if source.live else self._stream_recorded(source)

    def start(self, on_fused: Callable[[FusedFrame], None]) -> None:
        """Start the worker that fuses offered frames and calls ``on_fused`` in its own thread."""
        if self._worker is not None:
            raise UsageError("the pipeline is already running: close it before starting again")
        self._live = True
        self._registrar.start()
        self._worker = threading.Thread(
            target=self._work, args=(on_fused,), name="fusion", daemon=True
        )
        self._worker.start()

    def offer(self, frame: Frame) -> None:
        """Take one live frame; never blocks, never raises for what the frame contains."""
        for pair in self._push(frame):
            if self._slot.put((pair, time.perf_counter())):
                self._count_drops({"busy": 1})

    def reject(self, modality: Modality, cause: str) -> None:
        """Count a frame of a stream that could not be understood."""
        self._rates[modality].tick()
        self._count_drops({cause: 1})

    def warm_up(self, height: int = 480, width: int = 640) -> None:
        """Run the network once, so that the first real frame is as quick as the next."""
        self._engine.warm_up(height, width)

    def detect(self, wanted: bool) -> None:
        """Switch the detector, where there is one, off while nobody wants what it finds."""
        if self._detection is not None:
            marks = self._masks is not None and self._masks.wants_detections
            self._detection.active = wanted or marks

    def offer_mask(self, mask: UInt8Image) -> None:
        """Take a mask that counts until a newer one or for `mask.hold_s`; callable from any thread.

        A model that takes no masks ignores it; one that does not fit the picture is reported in the
        health and left out.

        Args:
            mask: ``HxW`` on the visible image's grid; every value but zero marks.
        """
        if self._masks is not None:
            self._masks.give(mask)

    def reject_mask(self, reason: str) -> None:
        """Count a mask that could not be understood."""
        if self._masks is not None:
            self._masks.reject(reason)

    @property
    def drops(self) -> dict[str, int]:
        """What was dropped so far, by cause."""
        with self._drops_lock:
            return dict(Counter(self._sync.drops) + self._drops)

    def status(self) -> PipelineStatus:
        """Return counters, rates, latencies and health; callable from any thread."""
        return PipelineStatus(
            read=dict(self._sync.read),
            rates_hz={name: round(rate.hertz(), 2) for name, rate in self._rates.items()},
            pairs=self._pairs,
            fused=self._fused,
            drops=self.drops,
            latency_ms=self._latency.percentiles(),
            skew_ms=self._skew.percentiles().get("skew", {}),
            model=self._engine.name,
            device=self._device.type,
            calibration=self.config.calibration,
            registration=self._registrar.report(),
            memory=asdict(bank.stats()) if (bank := self._engine.bank) else {},
            detector=self._detection.status() if self._detection else {},
            prior=self._priors.status() if self._priors else {},
            mask=self._masks.status() if self._masks else {},
            health=self._health,
            last_error=self._last_error,
        )

    def save_memory(self) -> Path:
        """Save the memory bank now and return the file.

        Raises:
            MemoryBankError: No file is configured, or it cannot be written.
        """
        return self._keeper.save()

    def reset_memory(self) -> None:
        """Return the memory bank, where the model has one, to its trained state."""
        if self._engine.bank:
            self._engine.bank.reset()

    def refresh_prior(self) -> None:
        """Ask the provider about the next pair; returns at once.

        Raises:
            UsageError: No provider is configured.
        """
        if self._priors is None:
            raise UsageError("prior is 'none': no provider is configured, nothing to refresh")
        self._priors.request()

    def close(self) -> None:
        """Stop the workers and save the memory bank where a file is configured."""
        self._slot.close()
        if self._worker is not None:
            self._worker.join(_JOIN_S)
            self._worker = None
        if self._priors is not None:
            self._priors.close()
        self._registrar.close()
        self._keeper.close()

    def _push(self, frame: Frame) -> list[FramePair]:
        """Pair one frame."""
        with self._sync_lock:
            self._rates[frame.modality].tick()
            pairs = self._sync.push(frame)
            self._pairs += len(pairs)
            return pairs

    def _flush(self) -> list[FramePair]:
        """Pair what still waits for a partner."""
        with self._sync_lock:
            pairs = self._sync.flush()
            self._pairs += len(pairs)
            return pairs

    def _thermal_image(self, pair: FramePair) -> tuple[ThermalImage | None, tuple[str, ...]]:
        """Return the pair's thermal image, None while its shutter is closed, and all health."""
        health = self._start_health + pair.health
        if pair.thermal is None:
            return None, health
        thermal = self._thermal.process(pair.thermal)
        health += thermal.health
        policy = self.config.sync.on_missing_thermal
        if "thermal_frozen" not in thermal.health or policy == "hold":
            return thermal, health
        return None, health

    def _prior(self, aligned: AlignedPair) -> tuple[ScenePrior | None, tuple[str, ...]]:
        """Return the prior in force and what is wrong with it."""
        if self._priors is None:
            return None, ()
        prior = self._priors.update(aligned, wait=not self._live)
        flat = 0.0 if prior is None else prior.thermal.get("low_contrast", 0.0)
        if self.config.adapt.sources and flat >= _FLAT:
            self._thermal.stretch()
        return prior, self._priors.health()

    def _mask(
        self, aligned: AlignedPair, pair: FramePair
    ) -> tuple[FloatImage | None, tuple[str, ...]]:
        """Return what is marked, for a model that takes masks, and what is wrong with it."""
        if self._masks is None:
            return None, ()
        return self._masks.mask_for(aligned, pair.visible, live=self._live)

    def _count_drops(self, causes: Mapping[str, int]) -> None:
        with self._drops_lock:
            self._drops.update(causes)

    def _note(self, timings: dict[str, float], pair: FramePair, health: tuple[str, ...]) -> None:
        """Count one result."""
        self._fused += 1
        self._rates["fused"].tick()
        self._latency.add(timings)
        if pair.skew_ns is not None:
            self._skew.add({"skew": abs(pair.skew_ns) / 1e6})
        self._health = health

    def _fuse_all(self, pairs: list[FramePair]) -> Iterator[FusedFrame]:
        for pair in pairs:
            fused = self._step_or_skip(pair)
            if fused is not None:
                yield fused

    def _step_or_skip(self, pair: FramePair) -> FusedFrame | None:
        fused = self.step(pair)
        if fused is None:
            self._count_drops({"frozen": 1})
        return fused

    def _stream_recorded(self, source: Source) -> Iterator[FusedFrame]:
        broken: SourceError | None = None
        try:
            for frame in source.frames():
                yield from self._fuse_all(self._push(frame))
        except SourceError as error:
            broken = error
        yield from self._fuse_all(self._flush())
        self._count_drops(source.skipped)
        if broken is not None:
            raise broken

    def _stream_live(self, source: Source) -> Iterator[FusedFrame]:
        broken: list[SourceError] = []
        self._live = True

        def read() -> None:
            try:
                for frame in source.frames():
                    self.offer(frame)
            except SourceError as error:
                broken.append(error)
            finally:
                self._slot.close()

        self._registrar.start()
        reader = threading.Thread(target=read, name="reader", daemon=True)
        reader.start()
        try:
            yield from self._newest_results()
        finally:
            source.close()
            reader.join(_JOIN_S)
            self._count_drops(source.skipped)
        if broken:
            raise broken[0]

    def _newest_results(self) -> Iterator[FusedFrame]:
        """Fuse the newest pair, again and again, until the slot is closed; survive bad ones."""
        while (entry := self._slot.take()) is not None:
            pair, paired_at = entry
            try:
                fused = self._step_or_skip(pair)
            except FusionError as error:
                self._survive(str(error))
            except Exception as error:  # noqa: BLE001 - a live stream outlives any one frame
                _log.exception("a pair could not be fused")
                self._survive(f"{type(error).__name__}: {error}")
            else:
                if fused is not None:
                    self._latency.add({"age": (time.perf_counter() - paired_at) * 1e3})
                    yield fused

    def _work(self, on_fused: Callable[[FusedFrame], None]) -> None:
        for fused in self._newest_results():
            try:
                on_fused(fused)
            except Exception as error:  # noqa: BLE001 - a failed output must not end the stream
                _log.exception("a result could not be handed on")
                self._last_error = f"{type(error).__name__}: {error}"

    def _survive(self, message: str) -> None:
        if message != self._last_error:
            _log.warning("pair dropped: %s", message)
        self._last_error = message
        self._count_drops({"failed": 1})
        self._health = (*self._health, "failed")


def _open_engine(
    config: Config, device: torch.device
) -> tuple[Fuser, MemoryBank | None, Engine | SwitchingEngine]:
    """Return the network, or that of clear scenes, its bank, and what runs it."""
    adapt = config.adapt
    if config.model != "auto":
        model = load_model(config.model, device)
        bank = open_bank(model, config.memory)
        return model, bank, Engine(model, bank, config.stability, relieved=adapt.sources)
    if config.prior == "none":
        raise UsageError("model 'auto' is picked by the prior: prior 'none' gives none; set one")
    model, other = load_model(adapt.clean, device), load_model(adapt.degraded, device)
    bank = open_bank(model, config.memory)
    clean, degraded = (
        Engine(network, own, config.stability, relieved=adapt.sources)
        for network, own in ((model, bank), (other, open_bank(other, config.memory)))
    )
    return model, bank, SwitchingEngine(clean, degraded, adapt)


def _detection_stage(config: Config, device: torch.device) -> DetectionStage | None:
    """Return the detector and what follows it, None without one."""
    if config.detector == "none":
        return None
    detector = Detector(
        config.detector,
        device=device.type,
        threads=config.threads,
        decoder=config.detection.decoder,
    )
    return DetectionStage(detector, config.detection)


def _mask_keeper(config: Config, model: Fuser) -> MaskKeeper | None:
    """Return where masks come from, None for a model that takes none."""
    if not model.features.uses_mask:
        if config.mask.file:
            raise UsageError(
                f"mask {config.mask.file!r}: model {config.model!r} takes no mask; "
                "choose model 'ctrlfuse'"
            )
        return None
    keeper = MaskKeeper(config.mask)
    if keeper.wants_detections and config.detector == "none":
        raise UsageError("mask.source 'detector': no detector is chosen; set detector 'default'")
    if isinstance(model, CtrlFuse):
        model.steer(config.mask.gain, config.mask.segmenter_weights)
    return keeper


def _with_offset(sync: SyncConfig, rig: Rig | None) -> SyncConfig:
    """Return the settings with the rig's time offset on top of their own."""
    offset_ms = rig.thermal_offset_ms if rig else 0.0
    return replace(sync, thermal_offset_ms=sync.thermal_offset_ms + offset_ms)
