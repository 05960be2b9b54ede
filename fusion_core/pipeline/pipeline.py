"""The pipeline: the only file in which all modules work together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from fusion_core.config import Config
from fusion_core.engine import FusionRunner
from fusion_core.errors import CalibrationError, UsageError
from fusion_core.pipeline.builders import (
    open_bracket_merger,
    open_detection,
    open_local_engine,
    open_masks,
    open_prior_provider,
    open_scene_memory,
    open_snapshots,
    open_stream_engine,
    tune_engine,
)
from fusion_core.pipeline.frozen_stream import FrozenStreamDetector
from fusion_core.pipeline.intake import FrameIntake
from fusion_core.pipeline.live_settings import changed, live_settings
from fusion_core.pipeline.statistics import PipelineStatistics, unique
from fusion_core.pipeline.status import PipelineStatus
from fusion_core.pipeline.stream_runner import StreamRunner
from fusion_core.priors import PriorScheduler
from fusion_core.registration import FrameRig, Registrar, Rig, transform_depth
from fusion_core.runtime.closable import Closable
from fusion_core.runtime.live_setting import LiveSetting, Scalar
from fusion_core.runtime.meters import StageTimer
from fusion_core.runtime.timed_call import LIVE_TIMEOUT_S, RECORDED_TIMEOUT_S
from fusion_core.source import Source
from fusion_core.source.recorded import RecordedSource
from fusion_core.thermal import ThermalProcessor
from fusion_core.types import (
    AlignedPair,
    Box,
    Detection,
    FloatImage,
    Frame,
    FramePair,
    FusedFrame,
    Modality,
    Recalled,
    ScenePrior,
    ThermalImage,
    UInt8Image,
)

if TYPE_CHECKING:
    from fusion_core.pipeline.builders import StreamEngine

_State = Literal["idle", "streaming", "started", "closed"]

# Probability of low contrast from which the thermal gain control steps in.
_FLAT = 0.8
_USUAL_SIZE: Final = (480, 640)


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
        server_required: A server that shall run the networks has to answer at the start; without
            this the stream begins without it.

    Raises:
        EngineError: The server does not answer, or refuses.
        UsageError: Unknown model or device, or a prior that the model cannot read.
        WeightsError: The model's or the provider's weights are missing or torn.
        MissingExtraError: The provider needs a package that is not installed.
        CalibrationError: The rig file is malformed.
        MemoryBankError: The snapshot is torn or foreign, and ``reset_invalid_memory`` is False.
        MaskError: The file or folder of masks is missing or holds none.
        DetectorError: The detector's file is missing, broken or of an unknown form.
    """

    def __init__(
        self,
        config: Config | None = None,
        *,
        reset_invalid_memory: bool = False,
        server_required: bool = True,
    ) -> None:
        self.config = config = config or Config()
        with ExitStack() as opened:
            self._open(config, opened, reset_invalid_memory, server_required)
            opened.pop_all()

    def _open(
        self, config: Config, opened: ExitStack, reset_invalid_memory: bool, server_required: bool
    ) -> None:
        """Open all modules; what is open when one fails is closed by the stack."""
        self._engine = open_stream_engine(config, server_required=server_required)
        # Networks that were in force stay loaded: the bank of the first is saved at the end.
        self._networks = {config.model: self._engine}
        self._first_model = config.model
        self._changing, self._between_pairs = threading.Lock(), threading.Lock()
        self._check_text(config.text, self._engine)
        self._engine.describe(config.text)
        self._fusion = opened.enter_context(FusionRunner(self._engine))
        self._bank = self._engine.bank
        self._scene_memory = open_scene_memory(config.scene_memory)
        self._snapshots = open_snapshots(config.memory, self._bank, self._scene_memory)
        restored = (kept.load(reset_invalid=reset_invalid_memory) for kept in self._snapshots)
        self._start_health = unique(sum(restored, ()))
        depth_m = transform_depth(config.calibration)
        self._frame_rig = None if depth_m is None else FrameRig(depth_m)
        rig = Rig.load(config.calibration) if config.calibration and depth_m is None else None
        self._registrar = Registrar(rig, config.registration, rig_follows=depth_m is not None)
        remote = bool(config.engine.endpoint)
        self._detection = open_detection(config, config.device if remote else self._engine.device)
        self._frozen_visible = FrozenStreamDetector()
        self._thermal = ThermalProcessor(config.thermal)
        self._masks = open_masks(config, self._engine, self._detection)
        self._mark_named()
        provider = open_prior_provider(config, self._engine)
        self._priors = PriorScheduler(provider, config.priors) if provider else None
        offset_ms = rig.thermal_offset_ms if rig else 0.0
        self._intake = FrameIntake(config.sync, offset_ms, config.source.bracket)
        self._merger = open_bracket_merger(config)
        self._statistics = PipelineStatistics(self._start_health)
        self._objects: tuple[Box, ...] = ()
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
        with self._between_pairs, timer("total"):
            merged: tuple[str, ...] = ()
            if self._merger is not None:
                with timer("bracket"):
                    pair, merged = self._merger.merge(pair, timeout_s)
            with timer("thermal"):
                thermal, health = self._thermal_image(pair)
            health += merged
            if self._awaits_rig(pair):
                thermal, health = None, (*health, "uncalibrated")
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
            with timer("recall"):
                completed, recalled = self._recall(aligned, frozen)
            with timer("fusion"):
                result, conditions = self._fusion.run(
                    completed, prior, mask, timeout_s, live=self._live
                )
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
                self._objects = tuple(found.box for found in detections)
        health = unique(health + prior_health)
        timer.timings["network"] = result.network_ms
        self._keep_memory()
        self._statistics.record_result(timer.timings, pair, health)
        recent, unlisted = self._intake.drop_log.take_recent()
        return FusedFrame(
            frame=self._statistics.fused - 1,
            stamp_ns=pair.stamp_ns,
            image=self._tinted(result.image, recalled),
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
            recalled=recalled,
            text=result.text,
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

    def warm_up(self, height: int = _USUAL_SIZE[0], width: int = _USUAL_SIZE[1]) -> None:
        """Run the network once, so that the first real frame is as quick as the next."""
        self._engine.warm_up(height, width)

    def enable_detection(self, wanted: bool) -> None:
        """Switch the detector, where there is one, off while its results are not used."""
        if self._detection is not None:
            marks = self._masks is not None and self._masks.uses_detections
            self._detection.active = wanted or marks

    def live_settings(self) -> tuple[LiveSetting, ...]:
        """Return the settings that :meth:`change` takes, with the values in force."""
        return live_settings(self.config)

    def change(self, changes: Mapping[str, Scalar]) -> None:
        """Change settings while the stream goes on, from the next pair on.

        Callable from any thread. A model that was not in force before is loaded meanwhile, and
        begins with its default options and its memory bank as trained. When anything is refused,
        nothing changes.

        Args:
            changes: Full name of a setting -> value.

        Raises:
            FusionError: A setting cannot be changed now, or a value is wrong or of no use here.
        """
        self._require_open()
        if changes.keys() == {"text"}:
            self.submit_text(str(changes["text"]))
            return
        with self._changing:
            config = changed(self.config, changes)
            engine = self._network(config)
            if config.text != self.config.text:
                self._check_text(config.text, engine)
            same_masks = config.mask == self.config.mask and config.model == self.config.model
            masks = self._masks if same_masks else open_masks(config, engine, self._detection)
            with self._between_pairs:
                tune_engine(config, engine)
                if self._detection is not None:
                    self._detection.set_threshold(config.detection.score_threshold)
                self._networks[config.model] = engine
                self._fusion.use(engine)
                engine.describe(config.text)
                self._engine, self._masks, self.config = engine, masks, config
                self._mark_named()

    def submit_text(self, text: str) -> None:
        """Describe the results that are wanted, until another text comes; callable from any thread.

        Args:
            text: For models that read one; empty: none.

        Raises:
            UsageError: The model reads no text.
        """
        with self._changing:
            self._check_text(text, self._engine)
            self.config = changed(self.config, {"text": text})
            # Not between pairs: whoever says something does not wait for a picture.
            self._engine.describe(text)
            self._mark_named()

    def add_transforms(self, message: object) -> None:
        """Take transforms between frames, for the calibration ``tf``; callable from any thread.

        Args:
            message: A ``tf2_msgs/TFMessage`` of ``/tf_static``, of rclpy or of rosbags.
        """
        if self._frame_rig is not None:
            self._frame_rig.transforms.add_message(message)

    def submit_mask(self, mask: UInt8Image | None) -> None:
        """Take a mask that counts until a newer one or for `mask.hold_s`; callable from any thread.

        A model that takes no masks ignores it; one that does not fit the picture is reported in the
        health and left out.

        Args:
            mask: ``HxW`` on the visible image's grid; every value but zero marks. None withdraws
                the one in force.
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
            device=self._engine.device,
            engine=self._fusion.status(),
            calibration=self.config.calibration,
            calibration_problem=self._frame_rig.problem if self._frame_rig else "",
            registration=self._registrar.report(),
            memory=asdict(bank.stats()) if (bank := self._engine.bank) else {},
            scene_memory=asdict(self._scene_memory.status()) if self._scene_memory else {},
            detector=self._detection.status() if self._detection else {},
            prior=self._priors.status() if self._priors else {},
            mask=self._masks.status() if self._masks else {},
            text=self.config.text if self._engine.uses_text else None,
            health=statistics.health,
            last_error=statistics.last_error or self._fusion.last_error,
            fusion_failures=self._fusion.failures,
        )

    def save_memory(self) -> Path:
        """Save the memory bank now and return the file.

        Raises:
            MemoryBankError: No file is configured, or it cannot be written.
        """
        bank, scenes = self._snapshots
        if self._scene_memory is not None and self.config.memory.file:
            path = scenes.save()
            return bank.save() if self._engine.bank else path
        return bank.save()

    def reset_memory(self) -> None:
        """Return the memory bank, where the model has one, to its trained state; forget places."""
        if self._engine.bank:
            self._engine.bank.reset()
        if self._scene_memory is not None:
            self._scene_memory.reset()

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
        for kept in self._snapshots:
            kept.close()

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

    def _network(self, config: Config) -> StreamEngine:
        """Return the engine of a configuration, ready to run; one loaded before as it was left."""
        if config.model in self._networks:
            return self._networks[config.model]
        engine = open_local_engine(config)
        if self._priors is not None:
            engine.check_prior(self._priors.provider.name, self._priors.provider.dim)
        engine.warm_up(*_USUAL_SIZE)
        return engine

    @staticmethod
    def _check_text(text: str, engine: StreamEngine) -> None:
        if text and not engine.uses_text:
            raise UsageError(
                f"text {text!r}: model {engine.name!r} reads none; choose a model that does, as "
                "mmaif, or leave the text out"
            )

    def _mark_named(self) -> None:
        """Let detections of what the text names become the mask."""
        if self._masks is not None:
            self._masks.name(self._engine.named(self.config.text))

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

    def _awaits_rig(self, pair: FramePair) -> bool:
        """Return whether the rig is still to be made, and whether this pair does not allow it.

        Raises:
            CalibrationError: It is not possible, and nothing more will come.
        """
        if self._frame_rig is None or not self._frame_rig.problem:
            return False
        rig = self._frame_rig.find(pair)
        if rig is not None:
            self._registrar.set_rig(rig)
            return False
        two_sided = pair.visible is not None and pair.thermal is not None
        if pair.visible is None or (two_sided and not self._live):
            raise CalibrationError(self._frame_rig.problem)
        return True

    def _keep_memory(self) -> None:
        """Save both memories when it is due; take up the bank of a server that has just come."""
        bank = self._networks[self._first_model].bank
        kept_bank, kept_places = self._snapshots
        if bank is not self._bank:
            kept_bank.close()
            self._bank = bank
            kept_bank = open_snapshots(self.config.memory, bank, None)[0]
            self._snapshots = kept_bank, kept_places
            self._start_health = kept_bank.load(reset_invalid=True)
        kept_bank.tick()
        kept_places.tick()

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
        if self._masks is None or not self._engine.uses_mask:
            return None, ()
        return self._masks.mask_for(aligned, pair.visible, live=self._live)

    def _recall(self, aligned: AlignedPair, frozen: bool) -> tuple[AlignedPair, Recalled | None]:
        """Return the pair with what hides in its visible image now, and what was recalled."""
        if self._scene_memory is None or frozen:
            return aligned, None
        return self._scene_memory.recall(aligned, self._objects)

    def _tinted(self, image: UInt8Image, recalled: Recalled | None) -> UInt8Image:
        return self._scene_memory.tint(image, recalled) if self._scene_memory else image

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
            if self._frame_rig is not None:
                for message in source.transforms():
                    self.add_transforms(message)
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
