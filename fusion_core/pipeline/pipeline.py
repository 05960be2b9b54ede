"""The pipeline: the only file in which all modules work together."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Literal

import torch

from fusion_core.config import Config
from fusion_core.engine import FusionRunner, pick_device
from fusion_core.errors import UsageError
from fusion_core.pipeline.bracket_merger import BracketMerger
from fusion_core.pipeline.builders import (
    open_detection,
    open_engine,
    open_masks,
    open_priors,
    open_snapshots,
    with_offset,
)
from fusion_core.pipeline.frozen_stream import FrozenStreamDetector
from fusion_core.pipeline.intake import FrameIntake
from fusion_core.pipeline.statistics import PipelineStatistics, unique
from fusion_core.pipeline.status import PipelineStatus
from fusion_core.pipeline.stream_runner import StreamRunner
from fusion_core.registration import Registrar, Rig
from fusion_core.runtime.closable import Closable
from fusion_core.runtime.meters import StageTimer
from fusion_core.runtime.timed_call import LIVE_TIMEOUT_S, RECORDED_TIMEOUT_S
from fusion_core.source import Source
from fusion_core.source.recorded import RecordedSource
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

_State = Literal["idle", "streaming", "started", "closed"]

# Probability of low contrast from which the thermal gain control steps in.
_FLAT = 0.8


class Pipeline(Closable):
    """Turn two camera streams into one fused stream.

    Recorded input: iterate ``stream(source)``; it waits for the network and loses nothing.
    Live input: ``start(callback)``, then ``submit`` frames from any thread; the newest pair wins.
    Several sources may be streamed one after the other: pairing starts afresh with each, the memory
    bank and all counts go on. After ``close`` only the status is left.

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
        self._fusion = FusionRunner(self._engine)
        self._snapshots = open_snapshots(config.memory, bank)
        self._start_health = self._snapshots.load(reset_invalid=reset_invalid_memory)
        rig = Rig.load(config.calibration) if config.calibration else None
        self._registrar = Registrar(rig, config.registration)
        self._detection = open_detection(config, self._device)
        self._frozen_visible = FrozenStreamDetector()
        self._thermal = ThermalProcessor(config.thermal)
        self._masks = open_masks(config, model, self._detection)
        self._priors = open_priors(config, self._device, self._engine)
        self._intake = FrameIntake(with_offset(config.sync, rig), config.source.bracket)
        self._merger = BracketMerger.open(config.source, self._device)
        self._statistics = PipelineStatistics(self._start_health)
        self._live = False
        self._state: _State = "idle"
        self._runner = StreamRunner(self.step, self._intake, self._statistics)

    def step(self, pair: FramePair) -> FusedFrame | None:
        """Fuse one pair; None when the policy skips it (closed thermal shutter).

        Raises:
            EncodingError: A frame cannot be understood.
            CalibrationError: The images do not fit each other or the rig.
            UsageError: The pipeline is closed.
        """
        self._require_open()
        timer = StageTimer()
        timeout_s = LIVE_TIMEOUT_S if self._live else RECORDED_TIMEOUT_S
        with timer("total"):
            merged: tuple[str, ...] = ()
            if self._merger is not None:
                with timer("bracket"):
                    pair, merged = self._merger.merge(pair, timeout_s)
            with timer("thermal"):
                thermal, health = self._thermal_image(pair)
            health += merged
            if thermal is None and pair.visible is None:
                return None
            frozen = self._frozen_visible.is_frozen(pair)
            health += ("visible_frozen",) if frozen else ()
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
                result, conditions = self._fusion.run(aligned, prior, mask, timeout_s)
            health += conditions
            detections: tuple[Detection, ...] = ()
            if self._detection is not None:
                with timer("detection"):
                    # A frozen picture shows what is no longer there: the detector goes without.
                    seen = replace(aligned, visible=None) if frozen and thermal else aligned
                    detections, conditions = self._detection.run(result.image, seen, timeout_s)
                health += conditions
                if self._masks is not None:
                    self._masks.set_detections(detections, pair.stamp_ns)
        health = unique(health + prior_health)
        timer.timings["network"] = result.network_ms
        self._snapshots.tick()
        self._statistics.record_result(timer.timings, pair, health)
        recent, unlisted = self._intake.drop_log.take_recent()
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
            recent_drops=recent,
            unlisted_drops=unlisted,
            health=health,
            quality=result.quality,
            memory_slot=result.memory_slot,
            model=result.model,
        )

    def stream(self, source: Source) -> Generator[FusedFrame, None, None]:
        """Fuse everything a source gives, in order.

        Recorded sources wait for the network. Live sources do not: the newest pair wins.

        Raises:
            UsageError: The pipeline is closed, or at work on another input.
            SourceError: The input broke; what came before has been fused and yielded.
        """
        self._require_idle()
        return self._stream(source)

    def start(self, on_fused: Callable[[FusedFrame], None]) -> None:
        """Start the worker that fuses submitted frames and calls ``on_fused`` in its own thread.

        Raises:
            UsageError: The pipeline is closed, or at work on another input.
        """
        self._require_idle()
        self._state, self._live = "started", True
        self._registrar.start()
        self._runner.start(on_fused)

    def submit(self, frame: Frame) -> None:
        """Take one live frame, from any thread; after ``close`` it is counted as ``closed``.

        Never blocks, never raises for what the frame contains.
        """
        self._intake.submit_frame(frame)

    def count_invalid(self, modality: Modality, cause: str, stamp_ns: int | None = None) -> None:
        """Count an image of a stream that could not be understood.

        Args:
            modality: The stream.
            cause: ``unknown_encoding`` or ``corrupt``.
            stamp_ns: Its capture time, None when that is not known either.
        """
        self._intake.count_invalid(modality, cause, stamp_ns)

    def warm_up(self, height: int = 480, width: int = 640) -> None:
        """Run the network once, so that the first real frame is as quick as the next."""
        self._engine.warm_up(height, width)

    def enable_detection(self, wanted: bool) -> None:
        """Switch the detector, where there is one, off while its results are not used."""
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
            self._masks.count_invalid_mask(reason)

    @property
    def drops(self) -> dict[str, int]:
        """Frames dropped so far, by cause."""
        return self._intake.drop_log.by_cause()

    def status(self) -> PipelineStatus:
        """Return counters, rates, latencies and health; callable from any thread."""
        statistics = self._statistics
        rates = {"fused": statistics.rate, **self._intake.rates}
        return PipelineStatus(
            read=dict(self._intake.read),
            used=dict(self._intake.used),
            rates_hz={name: round(rate.hertz(), 2) for name, rate in rates.items()},
            pairs=self._intake.pairs,
            fused=statistics.fused,
            one_sided=dict(statistics.one_sided),
            clocks=self._intake.clocks,
            drops=self.drops,
            drops_by_stream=self._intake.drop_log.by_stream(),
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
            last_error=statistics.last_error or self._fusion.last_error,
            fusion_failures=self._fusion.failures,
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
        """Let the provider assess the next pair; returns at once.

        Raises:
            UsageError: No provider is configured.
        """
        if self._priors is None:
            raise UsageError("prior is 'none': no provider is configured, nothing to refresh")
        self._priors.request()

    def close(self) -> None:
        """Fuse the live pair that waits, stop the workers, and save the memory bank to its file."""
        if self._state == "closed":
            return
        self._intake.end_live()
        self._runner.join()
        self._state = "closed"
        self._intake.close()
        self._fusion.close()
        if self._merger is not None:
            self._merger.close()
        if self._detection is not None:
            self._detection.close()
        if self._priors is not None:
            self._priors.close()
        self._registrar.close()
        self._snapshots.close()

    def _require_open(self) -> None:
        if self._state == "closed":
            raise UsageError("the pipeline is closed: make a new Pipeline with its config")

    def _require_idle(self) -> None:
        self._require_open()
        if self._state == "started":
            raise UsageError("the pipeline already runs: submit frames to it, or make another one")
        if self._state == "streaming":
            raise UsageError(
                "the pipeline already streams a source: read or close that iterator to its end "
                "first, or make another pipeline"
            )

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

    def _results(self, source: Source) -> Generator[FusedFrame, None, None]:
        if not source.live:
            return self._runner.recorded_results(source)
        self._registrar.start()
        return self._runner.live_results(source)

    def _stream(self, source: Source) -> Generator[FusedFrame, None, None]:
        self._require_idle()
        self._state, self._live = "streaming", source.live
        if isinstance(source, RecordedSource):
            source.set_offsets(self._intake.offsets_ns)
        source.drop_log.forward_to(self._intake.drop_log)
        try:
            with closing(self._results(source)) as results:
                for fused in results:
                    yield fused
                    self._require_open()
        finally:
            self._intake.reset()
            if self._state == "streaming":
                self._state = "idle"
