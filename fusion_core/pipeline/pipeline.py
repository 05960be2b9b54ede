"""The pipeline: the only file in which all modules work together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from fusion_core.config import Config
from fusion_core.errors import UsageError
from fusion_core.pipeline.builders import (
    open_local_engine,
    open_masks,
    open_scene_memory,
    open_stream_engine,
    tune_engine,
)
from fusion_core.pipeline.intake import FrameIntake
from fusion_core.pipeline.kept_memories import KeptMemories
from fusion_core.pipeline.live_settings import changed, live_settings
from fusion_core.pipeline.pair_step import PairStep
from fusion_core.pipeline.statistics import PipelineStatistics
from fusion_core.pipeline.status import PipelineStatus
from fusion_core.pipeline.stream_runner import StreamRunner
from fusion_core.runtime.closable import Closable
from fusion_core.runtime.live_setting import LiveSetting, Scalar
from fusion_core.source import Source
from fusion_core.source.recorded import RecordedSource
from fusion_core.types import Box, Frame, FramePair, FusedFrame, Modality, UInt8Image

if TYPE_CHECKING:
    from fusion_core.pipeline.builders import StreamEngine

_State = Literal["idle", "streaming", "started", "closed"]

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
        self._scenes = open_scene_memory(config.scene_memory)
        self._step = opened.enter_context(PairStep(config, self._engine, self._scenes))
        self._mark_named()
        self._memories = KeptMemories(
            config.memory, self._engine.bank, self._scenes, reset_invalid=reset_invalid_memory
        )
        offset_ms = self._step.thermal_offset_ms
        self._intake = FrameIntake(config.sync, offset_ms, config.source.bracket)
        self._statistics = PipelineStatistics(self._memories.health)
        self._state: _State = "idle"
        self._runner = StreamRunner(self.step, self._step.rest, self._intake, self._statistics)

    def step(self, pair: FramePair, came_s: float | None = None) -> FusedFrame | None:
        """Fuse one pair; None when the policy skips it (closed thermal shutter).

        Args:
            pair: The pair.
            came_s: When it was formed, on the clock of ``time.perf_counter``; None: now.

        Raises:
            EncodingError: A frame cannot be understood.
            CalibrationError: The images do not fit each other or the rig.
            UsageError: The pipeline is closed.
        """
        self._require_open()
        with self._between_pairs:
            number, health = self._statistics.fused, self._memories.health
            fused = self._step.run(pair, number, health, came_s)
        if fused is None:
            return None
        self._memories.tick(self._networks[self._first_model].bank)
        self._statistics.record_result(fused.timings, pair, fused.health)
        recent, unlisted = self._intake.drop_log.take_recent()
        return replace(fused, drops=self.drops, recent_drops=recent, unlisted_drops=unlisted)

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
        self._state, self._step.live = "started", True
        self._step.registrar.start()
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
        detection, masks = self._step.detection, self._step.masks
        if detection is not None:
            marks = masks is not None and masks.uses_detections
            detection.active = wanted or marks or self.raises_alarms

    @property
    def raises_alarms(self) -> bool:
        """Whether a temperature limit is set, so that every frame has to be looked at."""
        return self._step.detection is not None and self._step.temperature.has_limits

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
            step = self._step
            masks = step.masks if same_masks else open_masks(config, engine, step.detection)
            with self._between_pairs:
                tune_engine(config, engine)
                if step.detection is not None:
                    step.detection.set_threshold(config.detection.score_threshold)
                self._networks[config.model] = engine
                step.use(config, engine, masks)
                engine.describe(config.text)
                self._engine, self.config = engine, config
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
        if self._step.frame_rig is not None:
            self._step.frame_rig.transforms.add_message(message)

    def submit_mask(self, mask: UInt8Image | None) -> None:
        """Take a mask that counts until a newer one or for `mask.hold_s`; callable from any thread.

        A model that takes no masks ignores it; one that does not fit the picture is reported in the
        health and left out.

        Args:
            mask: ``HxW`` on the visible image's grid; every value but zero marks. None withdraws
                the one in force.
        """
        if self._step.masks is not None:
            self._step.masks.set_mask(mask)

    def point_at(self, place: tuple[float, float] | Box | None) -> None:
        """Mark the object at a point or in a box until it is taken back; callable from any thread.

        A model that takes no masks ignores it; a place outside of the picture is counted and named
        as a mask that does not fit.

        Args:
            place: x and y, or left, top, width and height, in pixels of the visible image; None
                takes all back.
        """
        if self._step.masks is not None:
            self._step.masks.point_at(place)

    def count_invalid_mask(self, reason: str) -> None:
        """Count a mask that could not be understood."""
        if self._step.masks is not None:
            self._step.masks.count_invalid_mask(reason)

    @property
    def drops(self) -> dict[str, int]:
        """Frames dropped so far, by cause."""
        return self._intake.drop_log.by_cause()

    def status(self) -> PipelineStatus:
        """Return counters, rates, latencies and health; callable from any thread."""
        statistics, step = self._statistics, self._step
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
            engine=step.fusion.status(),
            calibration=self.config.calibration,
            calibration_problem=step.frame_rig.problem if step.frame_rig else "",
            registration=step.registrar.report(),
            memory=asdict(bank.stats()) if (bank := self._engine.bank) else {},
            scene_memory=asdict(self._scenes.status()) if self._scenes else {},
            detector=step.detection.status() if step.detection else {},
            temperature=step.temperature.status(),
            prior=step.priors.status() if step.priors else {},
            mask=step.masks.status() if step.masks else {},
            text=self.config.text if self._engine.uses_text else None,
            health=statistics.health,
            last_error=statistics.last_error or step.fusion.last_error,
            fusion_failures=step.fusion.failures,
        )

    def save_memory(self) -> Path:
        """Save the memory bank now and return the file.

        Raises:
            MemoryBankError: No file is configured, or it cannot be written.
        """
        return self._memories.save(with_bank=self._engine.bank is not None)

    def reset_memory(self) -> None:
        """Return the memory bank, where the model has one, to its trained state; forget places."""
        if self._engine.bank:
            self._engine.bank.reset()
        if self._scenes is not None:
            self._scenes.reset()

    def refresh_prior(self) -> None:
        """Let the provider assess the next pair; returns at once.

        Raises:
            UsageError: No provider is configured.
        """
        if self._step.priors is None:
            raise UsageError("prior is 'none': no provider is configured, nothing to refresh")
        self._step.priors.request()

    def close(self) -> None:
        """Fuse the live pair that waits, stop the workers, and save the memory bank to its file."""
        if self._state == "closed":
            return
        self._intake.end_live()
        self._runner.join()
        self._state = "closed"
        self._intake.close()
        self._step.close()
        self._memories.close()

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
        if self._step.priors is not None:
            provider = self._step.priors.provider
            engine.check_prior(provider.name, provider.dim)
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
        if self._step.masks is not None:
            self._step.masks.name(self._engine.named(self.config.text))

    def _results(self, source: Source) -> Generator[FusedFrame, None, None]:
        if not source.live:
            return self._runner.recorded_results(source)
        self._step.registrar.start()
        return self._runner.live_results(source)

    def _stream(self, source: Source) -> Generator[FusedFrame, None, None]:
        self._require_idle()
        self._state, self._step.live = "streaming", source.live
        if isinstance(source, RecordedSource):
            source.set_offsets(self._intake.offsets_ns)
            if self._step.frame_rig is not None:
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
