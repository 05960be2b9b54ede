"""One pair through all stages: from two frames to one result."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from fusion_core.engine import FusionRunner
from fusion_core.errors import CalibrationError
from fusion_core.pipeline.builders import (
    open_bracket_merger,
    open_detection,
    open_masks,
    open_prior_provider,
)
from fusion_core.pipeline.frozen_stream import FrozenStreamDetector
from fusion_core.pipeline.statistics import unique
from fusion_core.priors import PriorScheduler, signature_of
from fusion_core.registration import FrameRig, Registrar, Rig, transform_depth
from fusion_core.runtime.closable import Closable
from fusion_core.runtime.meters import StageTimer
from fusion_core.runtime.timed_call import LIVE_TIMEOUT_S, RECORDED_TIMEOUT_S
from fusion_core.temperature import TemperatureStage
from fusion_core.thermal import ThermalProcessor
from fusion_core.types import (
    Alarm,
    AlignedPair,
    Box,
    Detection,
    FloatImage,
    FramePair,
    FusedFrame,
    Recalled,
    ScenePrior,
    ThermalImage,
    UInt8Image,
)

if TYPE_CHECKING:
    from fusion_core.config import Config
    from fusion_core.masks import MaskProvider
    from fusion_core.pipeline.builders import StreamEngine
    from fusion_core.scene_memory import SceneMemory

# Probability of low contrast from which the thermal gain control steps in.
_FLAT: Final = 0.8
_Health = tuple[str, ...]


class PairStep(Closable):
    """The stages between pairing and output, and what they keep from pair to pair.

    A detector that looks at the cameras' pictures works beside the fusion.

    Args:
        config: What to do.
        engine: Runs the network.
        scenes: The scene memory, None where it is off.

    Raises:
        FusionError: A stage cannot be opened; see ``Pipeline``.

    Attributes:
        live: Newer pairs come whatever happens, so nothing waits for long.
        fusion: The network as a stage.
        detection: Detector and tracks, None without.
        temperature: What measures objects.
        priors: The scheduler of scene priors, None without.
        masks: Where masks come from, None for a model that takes none.
        registrar: The registration.
        frame_rig: The calibration ``tf``, None for any other.
        thermal_offset_ms: What the rig adds to thermal stamps.
    """

    def __init__(self, config: Config, engine: StreamEngine, scenes: SceneMemory | None) -> None:
        self.live = False
        with ExitStack() as opened:
            self._open(config, engine, opened)
            opened.pop_all()
        self._scenes = scenes
        self._frozen_visible = FrozenStreamDetector()
        self._objects: tuple[Box, ...] = ()
        self._came_s: float | None = None

    def _open(self, config: Config, engine: StreamEngine, opened: ExitStack) -> None:
        """Open all stages; what is open when one fails is closed by the stack."""
        self.fusion = opened.enter_context(FusionRunner(engine))
        depth_m = transform_depth(config.calibration)
        self.frame_rig = None if depth_m is None else FrameRig(depth_m)
        rig = Rig.load(config.calibration) if config.calibration and depth_m is None else None
        self.thermal_offset_ms = rig.thermal_offset_ms if rig else 0.0
        self.registrar = Registrar(rig, config.registration, rig_follows=depth_m is not None)
        remote = bool(config.engine.endpoint)
        self.detection = open_detection(config, config.device if remote else engine.device)
        if self.detection is not None:
            opened.enter_context(self.detection)
        self._thermal = ThermalProcessor(config.thermal)
        self.temperature = TemperatureStage(config.temperature)
        masks = open_masks(config, engine, self.detection)
        provider = open_prior_provider(config, engine)
        self.priors = PriorScheduler(provider, config.priors) if provider else None
        self._merger = open_bracket_merger(config)
        self.use(config, engine, masks)

    def use(self, config: Config, engine: StreamEngine, masks: MaskProvider | None) -> None:
        """Go on with other settings from the next pair on.

        Args:
            config: The settings.
            engine: Runs the network of these settings.
            masks: Where masks come from, None for a model that takes none.
        """
        self._config, self._engine, self.masks = config, engine, masks
        self.fusion.use(engine)

    def run(
        self, pair: FramePair, number: int, health: _Health, came_s: float | None = None
    ) -> FusedFrame | None:
        """Fuse one pair; None when the policy skips it (closed thermal shutter).

        Args:
            pair: The pair.
            number: Number of the result since the start.
            health: Conditions that hold for every pair.
            came_s: When the pair came, on the clock of ``time.perf_counter``; None: now.

        Raises:
            EncodingError: A frame cannot be understood.
            CalibrationError: The images do not fit each other or the rig.
        """
        timer = StageTimer()
        self._came_s = came_s
        timeout_s = LIVE_TIMEOUT_S if self.live else RECORDED_TIMEOUT_S
        with timer("total"):
            prepared = self._prepare(pair, timer, timeout_s)
            if prepared is None:
                return None
            pair, aligned, frozen, conditions = prepared
            health += conditions
            # A frozen picture shows what is no longer there: the detector goes without.
            no_visible = frozen and aligned.thermal is not None
            seen = replace(aligned, visible=None) if no_visible else aligned
            if self.detection is not None and self.detection.takes_pair:
                self.detection.begin(seen, live=self.live, came_s=came_s)
            with timer("prior"):
                if self.priors is not None:  # the engine asks for it as well
                    aligned = replace(aligned, signature=signature_of(aligned))
                prior, prior_health = self._prior(aligned)
            with timer("mask"):
                mask, conditions = self._mask(aligned, pair)
                health += conditions
            with timer("recall"):
                completed, recalled = self._recall(aligned, frozen)
            with timer("fusion"):
                result, conditions = self.fusion.run(
                    completed, prior, mask, timeout_s, live=self.live
                )
            health += conditions
            if self.masks is not None and result.named is not None:
                self.masks.name(result.named)
            detections, alarms, conditions = self._detect(seen, result.image, timer, timeout_s)
            health += conditions
        timer.timings["network"] = result.network_ms
        return FusedFrame(
            frame=number,
            stamp_ns=pair.stamp_ns,
            image=self._tinted(result.image, recalled),
            pair=pair,
            aligned=aligned,
            detections=detections,
            detected_ns=self.detection.detected_ns if self.detection else None,
            prior=prior,
            timings=timer.timings,
            health=unique(health + prior_health),
            quality=result.quality,
            memory_slot=result.memory_slot,
            model=result.model,
            recalled=recalled,
            alarms=alarms,
            shares=result.shares,
            text=result.text,
        )

    def rest(self) -> None:
        """Do what no live frame has to wait for, when the last one is on its way."""
        if self._scenes is not None:
            self._scenes.rest()

    def close(self) -> None:
        """End the threads of all stages."""
        self.fusion.close()
        if self._scenes is not None:
            self._scenes.close()
        if self._merger is not None:
            self._merger.close()
        if self.detection is not None:
            self.detection.close()
        if self.priors is not None:
            self.priors.close()
        self.registrar.close()

    def _prepare(
        self, pair: FramePair, timer: StageTimer, timeout_s: float
    ) -> tuple[FramePair, AlignedPair, bool, _Health] | None:
        """Return the pair with its exposures merged, aligned, whether frozen, and conditions."""
        merged: _Health = ()
        if self._merger is not None:
            with timer("bracket"):
                pair, merged = self._merger.merge(pair, timeout_s)
        with timer("thermal"):
            thermal, health = self._thermal_image(pair)
        health = pair.health + health + merged
        if self._awaits_rig(pair):
            thermal, health = None, (*health, "uncalibrated")
        if thermal is None and pair.visible is None:
            return None
        frozen = self._frozen_visible.is_frozen(pair)
        health += ("visible_frozen",) if frozen else ()
        with timer("registration"):
            aligned = self.registrar.align(pair.stamp_ns, pair.visible, thermal)
        if aligned.confidence < self._config.registration.min_confidence:
            health += ("registration_low",)
        return pair, aligned, frozen, health + self.registrar.health()

    def _thermal_image(self, pair: FramePair) -> tuple[ThermalImage | None, _Health]:
        """Return the pair's thermal image, None while its shutter is closed, and its health."""
        if pair.thermal is None:
            return None, ()
        thermal = self.temperature.assume(self._thermal.process(pair.thermal))
        policy = self._config.sync.on_missing_thermal
        if "thermal_frozen" not in thermal.health or policy == "hold":
            return thermal, thermal.health
        return None, thermal.health

    def _awaits_rig(self, pair: FramePair) -> bool:
        """Return whether the rig is still to be made, and whether this pair does not allow it.

        Raises:
            CalibrationError: It is not possible, and nothing more will come.
        """
        if self.frame_rig is None or not self.frame_rig.problem:
            return False
        rig = self.frame_rig.find(pair)
        if rig is not None:
            self.registrar.set_rig(rig)
            return False
        two_sided = pair.visible is not None and pair.thermal is not None
        if pair.visible is None or (two_sided and not self.live):
            raise CalibrationError(self.frame_rig.problem)
        return True

    def _prior(self, aligned: AlignedPair) -> tuple[ScenePrior | None, _Health]:
        """Return the prior in force and what is wrong with it."""
        if self.priors is None:
            return None, ()
        prior = self.priors.update(aligned, wait=not self.live)
        flat = 0.0 if prior is None else prior.thermal.get("low_contrast", 0.0)
        if self._config.adapt.correct_inputs and flat >= _FLAT:
            self._thermal.stretch()
        return prior, self.priors.health()

    def _mask(self, aligned: AlignedPair, pair: FramePair) -> tuple[FloatImage | None, _Health]:
        """Return what is marked, for a model that takes masks, and what is wrong with it."""
        if self.masks is None or not self._engine.uses_mask:
            return None, ()
        boxes = self._engine.segments
        return self.masks.mask_for(aligned, pair.visible, live=self.live, boxes=boxes)

    def _recall(self, aligned: AlignedPair, frozen: bool) -> tuple[AlignedPair, Recalled | None]:
        """Return the pair with what hides in its visible image now, and what was recalled."""
        if self._scenes is None or frozen:
            return aligned, None
        return self._scenes.recall(aligned, self._objects, live=self.live)

    def _detect(
        self, seen: AlignedPair, image: UInt8Image, timer: StageTimer, timeout_s: float
    ) -> tuple[tuple[Detection, ...], tuple[Alarm, ...], _Health]:
        """Return the objects of the frame, the alarms that are on, and conditions."""
        if self.detection is None:
            return (), (), ()
        with timer("detection"):
            if not self.detection.takes_pair:
                self.detection.begin(seen, image, live=self.live, came_s=self._came_s)
            detections, health = self.detection.finish(seen, timeout_s, live=self.live)
            detections, alarms = self.temperature.measure(detections, seen)
        if self.detection.look_ms is not None:
            timer.timings["detector"] = self.detection.look_ms
        if self.masks is not None:
            self.masks.set_detections(detections, seen.stamp_ns)
        self._objects = tuple(found.box for found in detections)
        return detections, alarms, health

    def _tinted(self, image: UInt8Image, recalled: Recalled | None) -> UInt8Image:
        return self._scenes.tint(image, recalled) if self._scenes else image
