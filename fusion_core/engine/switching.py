"""Two networks, of which one is chosen by the scene prior."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import cv2
import numpy as np

from fusion_core.engine.pair_engine import PairEngine
from fusion_core.engine.result import EngineResult
from fusion_core.memory import MemoryBank
from fusion_core.priors.kinds import veil_probability
from fusion_core.runtime.settings import Settings
from fusion_core.types import AlignedPair, FloatImage, ScenePrior, UInt8Image

# What the restoring network is better at, beside haze and smoke.
OTHERS = ("rain", "snow", "noise")
ENTER = 0.6  # probability from which a scene is degraded
LEAVE = 0.45  # probability below which it is clear again
FADE_FRAMES = 15  # over which one network, or one prior of a scene, replaces the other


class SceneSwitch:
    """Hysteresis on the prior, and a fade.

    A scene is degraded when the likeliest of rain, snow, noise, and haze or smoke together reaches
    ``ENTER``, and clear again when it falls below ``LEAVE``; in between, and without a prior,
    nothing changes. The share of the degraded scene's picture then moves by ``1 / fade_frames`` per
    frame, so that no frame differs from the last by more than that part of what the two networks
    differ by.

    Args:
        fade_frames: Frames over which one network replaces the other, at least 1.
    """

    def __init__(self, fade_frames: int = FADE_FRAMES) -> None:
        self._fade_frames = fade_frames
        self._started = False
        self._steps = 0
        self.degraded = False

    def update(self, prior: ScenePrior | None) -> float:
        """Return the share of the degraded scene's network in the next picture, in [0, 1]."""
        if prior is not None:
            threshold = LEAVE if self.degraded else ENTER
            self.degraded = degradation(prior) >= threshold
        last = self._fade_frames
        if not self._started:
            # There is no picture before it that could jump.
            self._started, self._steps = True, last if self.degraded else 0
        self._steps = min(last, max(0, self._steps + (1 if self.degraded else -1)))
        return self._steps / last


def degradation(prior: ScenePrior) -> float:
    """Return how likely the network of degraded scenes is better at the visible picture."""
    veil = veil_probability(prior.visible)
    return max(veil, *(prior.visible.get(kind, 0.0) for kind in OTHERS))


class SwitchingEngine:
    """Fuse with the network of clear or of degraded scenes, chosen by the prior.

    Outside a fade only one of them runs.

    Args:
        clean: Runs the network of clear scenes.
        degraded: Runs the network of degraded scenes.
        fade_frames: See :class:`Switch`.
    """

    def __init__(
        self, clean: PairEngine, degraded: PairEngine, fade_frames: int = FADE_FRAMES
    ) -> None:
        self._clean, self._degraded = clean, degraded
        self._switch = SceneSwitch(fade_frames)

    @property
    def bank(self) -> MemoryBank | None:
        """The memory bank of the clear scenes' network."""
        return self._clean.bank

    @property
    def name(self) -> str:
        """``auto`` and the network that runs."""
        return f"auto: {self.active}"

    @property
    def active(self) -> str:
        """Name of the network that runs, in a fade of the next one."""
        return self._degraded.name if self._switch.degraded else self._clean.name

    @property
    def kind(self) -> str:
        """What runs the networks."""
        return ", ".join(dict.fromkeys((self._clean.kind, self._degraded.kind)))

    @property
    def choice(self) -> str:
        """Why these kinds of engine were picked; empty where they were asked for."""
        return self._clean.choice

    @property
    def uses_text(self) -> bool:
        """Whether a text changes the result of one of the networks."""
        return self._clean.uses_text or self._degraded.uses_text

    @property
    def option_kinds(self) -> dict[str, type[Settings]]:
        """Names of the networks -> their blocks of options."""
        return self._clean.option_kinds | self._degraded.option_kinds

    def tune(
        self, options: Mapping[str, Settings], temporal_smoothing: float, *, correct_inputs: bool
    ) -> None:
        """Change what may change between two pairs; see :meth:`PairEngine.tune`."""
        for engine in (self._clean, self._degraded):
            engine.tune(options, temporal_smoothing, correct_inputs=correct_inputs)

    def describe(self, text: str) -> None:
        """Set the text that describes the results; see :meth:`PairEngine.describe`."""
        for engine in (self._clean, self._degraded):
            engine.describe(text)

    def named(self, text: str) -> frozenset[str]:
        """Return what a text names to be shown; see :meth:`Engine.named`."""
        return self._clean.named(text) | self._degraded.named(text)

    @property
    def device(self) -> str:
        """Where the networks run: ``cpu`` or ``cuda``."""
        return self._clean.device

    @property
    def uses_mask(self) -> bool:
        """Whether a mask changes the picture of clear scenes."""
        return self._clean.uses_mask

    @property
    def segments(self) -> bool:
        """Whether the network of clear scenes finds the object in a marked box itself."""
        return self._clean.segments

    def check_prior(self, name: str, width: int) -> None:
        """Refuse a provider that one of the networks cannot read; see `PairEngine.check_prior`."""
        for engine in (self._clean, self._degraded):
            engine.check_prior(name, width)

    def fuse(
        self, pair: AlignedPair, prior: ScenePrior | None = None, mask: FloatImage | None = None
    ) -> EngineResult:
        """Fuse one pair; see :meth:`PairEngine.fuse`."""
        share = self._switch.update(prior)
        if share in {0.0, 1.0}:
            only = self._degraded if share else self._clean
            return replace(only.fuse(pair, prior, mask), model=self.active)
        one, other = (engine.fuse(pair, prior, mask) for engine in (self._clean, self._degraded))
        return replace(
            other if self._switch.degraded else one,
            image=_blend(one.image, other.image, share),
            memory_slot=one.memory_slot,
            network_ms=one.network_ms + other.network_ms,
            model=self.active,
        )

    def warm_up(self, height: int, width: int) -> None:
        """Run both networks once; see :meth:`PairEngine.warm_up`."""
        for engine in (self._clean, self._degraded):
            engine.warm_up(height, width)


def _blend(one: UInt8Image, other: UInt8Image, share: float) -> UInt8Image:
    return np.asarray(cv2.addWeighted(one, 1 - share, other, share, 0), np.uint8)
