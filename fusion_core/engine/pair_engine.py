"""What every engine does around its network: corrections, smoothing, colour and memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from fusion_core.engine.input_correction import InputCorrection
from fusion_core.engine.night_noise import NightNoise
from fusion_core.engine.picture_io import (
    CameraPicture,
    LumaIO,
    NetworkPicture,
    PictureIO,
    RgbIO,
    Smooth,
)
from fusion_core.engine.plain_fusion import single_picture
from fusion_core.engine.prior_fade import PriorFade
from fusion_core.engine.result import EngineResult
from fusion_core.engine.stream_follower import StreamFollower
from fusion_core.engine.temporal_evidence import TemporalEvidence
from fusion_core.engine.temporal_smoothing import TemporalSmoother
from fusion_core.errors import NetworkError, UsageError
from fusion_core.memory import MemoryBank, quality_score
from fusion_core.models.features import Features
from fusion_core.models.options import NoOptions
from fusion_core.models.stream import StreamState
from fusion_core.runtime.settings import Settings
from fusion_core.types import AlignedPair, FloatImage, Mask, ScenePrior, UInt8Image

# Width of the soft seam, in pixels, where the thermal camera's view ends inside the picture.
_SEAM_PX = 15


@dataclass(frozen=True, slots=True, eq=False)
class PreparedPair:
    """One pair as the network gets it.

    Attributes:
        pair: The pair, of both sides.
        camera: Its visible picture.
        thermal: ``HxW`` float32 in [0, 1].
        seen: What the network sees of the visible picture, ``HxW`` or ``HxWx3`` uint8.
        tokens: ``SxC`` tokens of the scene prior, for a network that uses it.
        mask: ``HxW`` in [0, 1], for a network that takes one.
        slots: ``NxD`` slots of the memory bank as they are now, for a network with memory.
        stream: What is kept of the stream; None: nothing, as of a single picture.
    """

    pair: AlignedPair
    camera: CameraPicture
    thermal: FloatImage
    seen: UInt8Image
    tokens: FloatImage | None = None
    mask: FloatImage | None = None
    slots: FloatImage | None = None
    stream: StreamState | None = None


class PairEngine(ABC):
    """Fuse aligned pairs with one network and the memory bank beside it.

    Args:
        name: Name of the network.
        features: What it takes and gives.
        bank: Memory bank, for a network that uses one.
        temporal_smoothing: Share of the previous picture that is kept where nothing moves, in
            [0, 1); 0 treats every pair alone.
        correct_inputs: Correct a source that the prior calls degraded; for a network that uses the
            prior itself only the glare, speckle in the dark, and what the frames before tell; for
            one that reads a text not the glare.
        fade_frames: Frames over which a network that uses the prior goes from one to the next.

    Attributes:
        choice: Why this kind of engine was picked; empty where it was asked for.
    """

    def __init__(
        self,
        name: str,
        features: Features,
        bank: MemoryBank | None,
        temporal_smoothing: float = 0.0,
        *,
        correct_inputs: bool = False,
        fade_frames: int = 1,
    ) -> None:
        self.choice = ""
        self._name, self._features, self._bank = name, features, bank
        self._io: PictureIO = LumaIO() if features.gives == "luma" else RgbIO()
        self._tuning = temporal_smoothing, correct_inputs
        self._stream = StreamFollower()
        self._set_stages()
        self._fade = PriorFade(fade_frames)
        self._seam: tuple[Mask, FloatImage] | None = None

    @property
    def name(self) -> str:
        """Name of the network."""
        return self._name

    @property
    def bank(self) -> MemoryBank | None:
        """The memory bank that the network reads and that good frames update."""
        return self._bank

    @property
    @abstractmethod
    def device(self) -> str:
        """Where the network runs: ``cpu`` or ``cuda``."""

    @property
    @abstractmethod
    def kind(self) -> str:
        """What runs it, with its precision, such as ``torch bfloat16``."""

    @property
    def uses_mask(self) -> bool:
        """Whether a mask changes the result."""
        return self._features.uses_mask

    @property
    def segments(self) -> bool:
        """Whether it finds the object in a box that a mask marks itself."""
        return self._features.segments

    @property
    def uses_prior(self) -> bool:
        """Whether a prior changes the result."""
        return self._features.uses_prior

    @property
    def uses_text(self) -> bool:
        """Whether a text changes the result."""
        return self._features.uses_text

    @property
    def uses_stream(self) -> bool:
        """Whether the frames before change the result of the network itself."""
        return self._features.uses_stream

    @property
    def text_in_force(self) -> str | None:
        """The text of the newest frame, empty where nothing is said; None: it reads none."""
        return None

    @property
    def option_kinds(self) -> dict[str, type[Settings]]:
        """Name of the network -> its block of options; empty where nothing can be set."""
        return {self.name: NoOptions}

    def configure(self, options: Settings) -> None:  # noqa: B027 - nothing to set is usual
        """Set the network's options."""

    def describe(self, text: str) -> None:  # noqa: B027 - few networks take one
        """Set the text that describes the results, for a network that takes one; empty: none."""

    def named(self, text: str) -> frozenset[str]:  # noqa: ARG002
        """Return what a text names to be shown: ``people``, ``vehicles``, ``hot``."""
        return frozenset()

    @abstractmethod
    def run(self, prepared: PreparedPair) -> tuple[NetworkPicture, float]:
        """Run the network; return what it made of a pair, and its milliseconds."""

    def tune(
        self, options: Mapping[str, Settings], temporal_smoothing: float, *, correct_inputs: bool
    ) -> None:
        """Change what may change between two pairs.

        Args:
            options: Options by name of the network, with those of this one.
            temporal_smoothing: As in the class.
            correct_inputs: As in the class.
        """
        self.configure(options[self.name])
        tuning = temporal_smoothing, correct_inputs
        if tuning != self._tuning:  # what has not changed keeps its state
            self._tuning = tuning
            self._set_stages()

    def check_prior(self, name: str, width: int) -> None:
        """Refuse a provider whose tokens, of this width, the network cannot read.

        Raises:
            UsageError: The network was made for another width.
        """
        expected = self._features.prior_width
        if self.uses_prior and expected not in {None, width}:
            raise UsageError(
                f"prior {name!r} gives tokens of width {width}, model {self.name!r} reads "
                f"{expected}: choose the prior that it was trained with, or train "
                f"it with `fusion train --model {self.name} --prior {name}`"
            )

    def fuse(
        self, pair: AlignedPair, prior: ScenePrior | None = None, mask: FloatImage | None = None
    ) -> EngineResult:
        """Fuse one pair; with one side missing the other is passed through unchanged.

        Args:
            pair: The pair.
            prior: What is known of the scene, for networks that use it.
            mask: ``HxW`` float32 in [0, 1], 1 marks what matters, for networks that use it.

        Raises:
            NetworkError: The network gives values that are not finite.
        """
        if (single := single_picture(pair)) is not None:
            return EngineResult(single)
        prepared = self.prepare(pair, prior, mask)
        made, network_ms = self.run(prepared)
        return self.finish(prepared, made, network_ms)

    def prepare(
        self, pair: AlignedPair, prior: ScenePrior | None, mask: FloatImage | None
    ) -> PreparedPair:
        """Return what the network gets of a pair of both sides; to be finished in order."""
        assert pair.visible is not None, "both sides are there"
        assert pair.thermal is not None, "both sides are there"
        visible = pair.visible
        # Whoever keeps nothing need not know of cuts, for which histograms are counted.
        stream = self._stream.step(pair) if self._follows else StreamState()
        if self._evidence is not None:
            visible = self._evidence.clean(stream, pair, prior)
        if self._night_noise is not None:
            visible = self._night_noise.clean(stream, visible, prior)
        camera = self._io.read(visible)
        thermal, seen = pair.thermal, camera.seen
        if not pair.valid.all():
            # Outside the thermal view both inputs show the same, so no false edge enters.
            thermal = np.where(pair.valid, thermal, camera.luma.astype(np.float32) / 255)
        if self._correction is not None:
            thermal, seen = self._correction.correct(stream, thermal, seen, prior)
        return self._prepared(pair, camera, thermal, seen, prior=prior, mask=mask, stream=stream)

    def finish(
        self, prepared: PreparedPair, made: NetworkPicture, network_ms: float
    ) -> EngineResult:
        """Return the picture of a pair, and let the memory bank learn of it.

        Args:
            prepared: Of :meth:`prepare`.
            made: What the network made of it.
            network_ms: Milliseconds in the network.

        Raises:
            NetworkError: It made values that are not finite.
        """
        pair = prepared.pair
        if not made.is_finite:  # before it enters the smoothing, the bank or an output
            raise self._not_finite()
        score = quality_score(made.luma)
        slot = None
        if self._bank is not None and made.memory_query is not None:
            slot = self._bank.update(made.memory_query[None], [score])
        # A network that restores does so outside the thermal view, too.
        inside = self.uses_prior or self.uses_text or bool(pair.valid.all())
        weight = None if inside else self._seam_weight(pair.valid)
        smooth = Smooth(self._smoother, pair.stamp_ns) if self._smoother else None
        image = self._io.write(made, prepared.camera, weight, smooth)
        text = self.text_in_force
        return EngineResult(image, score, slot, network_ms, shares=made.shares, text=text)

    def restart(self) -> None:
        """Let the next pair be the first one of its stream; the bank is not touched."""
        self._set_stages()
        self._stream.restart()
        self._fade.restart()

    def warm_up(self, height: int, width: int) -> None:
        """Run the network on an empty picture of this size, and :meth:`restart`."""
        visible = np.full((height, width, 3), 128, np.uint8)
        thermal, valid = np.zeros((height, width), np.float32), np.ones((height, width), bool)
        pair, camera = AlignedPair(0, visible, thermal, valid), self._io.read(visible)
        marked = np.ones((height, width), np.float32)
        for _ in range(2):
            self.run(self._prepared(pair, camera, thermal, camera.seen, prior=None, mask=marked))
        self.restart()

    def _prepared(
        self,
        pair: AlignedPair,
        camera: CameraPicture,
        thermal: FloatImage,
        seen: UInt8Image,
        *,
        prior: ScenePrior | None,
        mask: FloatImage | None,
        stream: StreamState | None = None,
    ) -> PreparedPair:
        """Return the pair with what the network uses of what is known."""
        used = prior if self.uses_prior else None
        return PreparedPair(
            pair,
            camera,
            thermal,
            seen,
            tokens=None if used is None else self._fade.step(used),
            mask=mask if self.uses_mask else None,
            slots=None if self._bank is None else self._bank.slots,
            stream=stream,
        )

    def _set_stages(self) -> None:
        """Make what smooths and corrects anew."""
        temporal_smoothing, correct_inputs = self._tuning
        self._smoother = TemporalSmoother(temporal_smoothing) if temporal_smoothing else None
        # What a text is to take away nobody else does: glare would be dimmed unasked.
        corrected = correct_inputs and not self.uses_text
        self._correction = InputCorrection(self.uses_prior) if corrected else None
        self._evidence = TemporalEvidence() if correct_inputs else None
        self._night_noise = NightNoise() if correct_inputs else None
        self._follows = correct_inputs or self.uses_stream

    def _not_finite(self) -> NetworkError:
        return NetworkError(
            f"model {self.name!r}: gives values that are not finite; train it again or choose "
            "another model"
        )

    def _seam_weight(self, valid: Mask) -> FloatImage:
        """Return weights that rise from 0 at the border of ``valid`` to 1 inside."""
        if self._seam is None or self._seam[0] is not valid:
            distance = cv2.distanceTransform(valid.astype(np.uint8), cv2.DIST_L2, 3)
            self._seam = (valid, np.minimum(distance / _SEAM_PX, 1).astype(np.float32))
        return self._seam[1]
