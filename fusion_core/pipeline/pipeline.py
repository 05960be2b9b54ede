"""The pipeline: the only file in which all rooms work together."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import torch

from fusion_core.config import Config
from fusion_core.engine import pick_device
from fusion_core.errors import FusionError, SourceError, UsageError
from fusion_core.pipeline.builders import (
    open_detection,
    open_engine,
    open_masks,
    open_priors,
    open_snapshots,
    with_offset,
)
from fusion_core.pipeline.frozen_stream import FrozenStreamDetector
from fusion_core.pipeline.statistics import PipelineStatistics
from fusion_core.pipeline.status import PipelineStatus
from fusion_core.registration import Registrar, Rig
from fusion_core.runtime.closable import Closable
from fusion_core.runtime.latest_slot import LatestSlot
from fusion_core.runtime.meters import StageTimer
from fusion_core.source import Source
from fusion_core.sync import Synchronizer
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


class Pipeline(Closable):
    """Turn two camera streams into one fused stream.

    Recorded input: iterate ``stream(source)``; it waits for the network and loses nothing.
    Live input: ``start(callback)``, then ``submit`` frames from any thread; the newest pair wins.

    Args:
        config: What to do; the defaults when None.
        reset_invalid_memory: With an unusable memory snapshot, set the file aside, start with a
            fresh bank and report ``memory_fresh``, instead of raising.

    Raises:
        UsageError: Unknown model or device, or a prior that the model cannot read.
        WeightsError: The model's or the provider's weights are missing or torn.
        MissingExtraError: The provider needs a package that is not installed.
        CalibrationError: The rig file is malformed.
        MemoryBankError: The snapshot is torn or foreign, and ``reset_invalid_memory`` is False.
        MaskError: The file or folder of masks is missing or holds none.
        DetectorError: The detector's file is missing, broken or of an unknown form.
    """

    def __init__(self, config: Config | None = None, *, reset_invalid_memory: bool = False) -> None:
        self.config = config = config or Config()
        if config.threads:
            torch.set_num_threads(config.threads)
        self._device = pick_device(config.device)
        model, bank, self._engine = open_engine(config, self._device)
        self._snapshots = open_snapshots(config.memory, bank)
        self._start_health = self._snapshots.load(reset_invalid=reset_invalid_memory)
        rig = Rig.load(config.calibration) if config.calibration else None
        self._registrar = Registrar(rig, config.registration)
        self._detection = open_detection(config, self._device)
        self._frozen_visible = FrozenStreamDetector()
        self._thermal = ThermalProcessor(config.thermal)
        self._masks = open_masks(config, model, self._detection)
        self._priors = open_priors(config, self._device, self._engine)
        self._sync = Synchronizer(with_offset(config.sync, rig))
        self._sync_lock = threading.Lock()
        self._statistics = PipelineStatistics(self._start_health)
        self._live = False
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
            hangs = self._frozen_visible.frozen(pair)
            health += ("visible_frozen",) if hangs else ()
            with timer("registration"):
                aligned = self._registrar.align(pair.stamp_ns, pair.visible, thermal)
            if aligned.confidence < self.config.registration.min_confidence:
                health += ("registration_low",)
            health += self._registrar.health()
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
                    # What a hanging camera shows is not there: a detector of pairs goes without.
                    seen = replace(aligned, visible=None) if hangs and thermal else aligned
                    detections, conditions = self._detection.run(result.image, seen)
                health += conditions
                if self._masks is not None:
                    self._masks.set_detections(detections, pair.stamp_ns)
        health += prior_health
        timer.timings["network"] = result.network_ms
        self._snapshots.tick()
        self._statistics.record_result(timer.timings, pair, health)
        return FusedFrame(
            frame=self._statistics.fused - 1,
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

    def submit(self, frame: Frame) -> None:
        """Take one live frame; never blocks, never raises for what the frame contains."""
        for pair in self._push(frame):
            if self._slot.put((pair, time.perf_counter())):
                self._statistics.count_drops({"busy": 1})

    def count_invalid(self, modality: Modality, cause: str) -> None:
        """Count a frame of a stream that could not be understood."""
        self._statistics.rates[modality].tick()
        self._statistics.count_drops({cause: 1})

    def warm_up(self, height: int = 480, width: int = 640) -> None:
        """Run the network once, so that the first real frame is as quick as the next."""
        self._engine.warm_up(height, width)

    def enable_detection(self, wanted: bool) -> None:
        """Switch the detector, where there is one, off while nobody wants what it finds."""
        if self._detection is not None:
            marks = self._masks is not None and self._masks.uses_detections
            self._detection.active = wanted or marks

    def submit_mask(self, mask: UInt8Image) -> None:
        """Take a mask that counts until a newer one or for `mask.hold_s`; callable from any thread.

        A model that takes no masks ignores it; one that does not fit the picture is reported in the
        health and left out.

        Args:
            mask: ``HxW`` on the visible image's grid; every value but zero marks.
        """
        if self._masks is not None:
            self._masks.set_mask(mask)

    def count_invalid_mask(self, reason: str) -> None:
        """Count a mask that could not be understood."""
        if self._masks is not None:
            self._masks.count_invalid(reason)

    @property
    def drops(self) -> dict[str, int]:
        """What was dropped so far, by cause."""
        return self._statistics.drops(self._sync.drops)

    def status(self) -> PipelineStatus:
        """Return counters, rates, latencies and health; callable from any thread."""
        statistics = self._statistics
        return PipelineStatus(
            read=dict(self._sync.read),
            rates_hz={name: round(rate.hertz(), 2) for name, rate in statistics.rates.items()},
            pairs=statistics.pairs,
            fused=statistics.fused,
            drops=self.drops,
            latency_ms=statistics.latency.percentiles(),
            skew_ms=statistics.skew.percentiles().get("skew", {}),
            model=self._engine.name,
            device=self._device.type,
            calibration=self.config.calibration,
            registration=self._registrar.report(),
            memory=asdict(bank.stats()) if (bank := self._engine.bank) else {},
            detector=self._detection.status() if self._detection else {},
            prior=self._priors.status() if self._priors else {},
            mask=self._masks.status() if self._masks else {},
            health=statistics.health,
            last_error=statistics.last_error,
        )

    def save_memory(self) -> Path:
        """Save the memory bank now and return the file.

        Raises:
            MemoryBankError: No file is configured, or it cannot be written.
        """
        return self._snapshots.save()

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
        self._snapshots.close()

    def _push(self, frame: Frame) -> list[FramePair]:
        """Pair one frame."""
        with self._sync_lock:
            self._statistics.rates[frame.modality].tick()
            pairs = self._sync.push(frame)
            self._statistics.pairs += len(pairs)
            return pairs

    def _flush(self) -> list[FramePair]:
        """Pair what still waits for a partner."""
        with self._sync_lock:
            pairs = self._sync.flush()
            self._statistics.pairs += len(pairs)
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
        if self.config.adapt.correct_inputs and flat >= _FLAT:
            self._thermal.stretch()
        return prior, self._priors.health()

    def _mask(
        self, aligned: AlignedPair, pair: FramePair
    ) -> tuple[FloatImage | None, tuple[str, ...]]:
        """Return what is marked, for a model that takes masks, and what is wrong with it."""
        if self._masks is None:
            return None, ()
        return self._masks.mask_for(aligned, pair.visible, live=self._live)

    def _fuse_all(self, pairs: list[FramePair]) -> Iterator[FusedFrame]:
        for pair in pairs:
            fused = self._step_or_skip(pair)
            if fused is not None:
                yield fused

    def _step_or_skip(self, pair: FramePair) -> FusedFrame | None:
        fused = self.step(pair)
        if fused is None:
            self._statistics.count_drops({"frozen": 1})
        return fused

    def _stream_recorded(self, source: Source) -> Iterator[FusedFrame]:
        broken: SourceError | None = None
        try:
            for frame in source.frames():
                yield from self._fuse_all(self._push(frame))
        except SourceError as error:
            broken = error
        yield from self._fuse_all(self._flush())
        self._statistics.count_drops(source.skipped)
        if broken is not None:
            raise broken

    def _stream_live(self, source: Source) -> Iterator[FusedFrame]:
        broken: list[SourceError] = []
        self._live = True

        def read() -> None:
            try:
                for frame in source.frames():
                    self.submit(frame)
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
            self._statistics.count_drops(source.skipped)
        if broken:
            raise broken[0]

    def _newest_results(self) -> Iterator[FusedFrame]:
        """Fuse the newest pair, again and again, until the slot is closed; survive bad ones."""
        while (entry := self._slot.take()) is not None:
            pair, paired_at = entry
            try:
                fused = self._step_or_skip(pair)
            except FusionError as error:
                self._statistics.count_failure(str(error))
            except Exception as error:  # noqa: BLE001 - a live stream outlives any one frame
                _log.exception("a pair could not be fused")
                self._statistics.count_failure(f"{type(error).__name__}: {error}")
            else:
                if fused is not None:
                    self._statistics.latency.add({"age": (time.perf_counter() - paired_at) * 1e3})
                    yield fused

    def _work(self, on_fused: Callable[[FusedFrame], None]) -> None:
        for fused in self._newest_results():
            try:
                on_fused(fused)
            except Exception as error:  # noqa: BLE001 - a failed output must not end the stream
                _log.exception("a result could not be handed on")
                self._statistics.last_error = f"{type(error).__name__}: {error}"
