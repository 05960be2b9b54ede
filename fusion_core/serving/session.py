"""What a server keeps for one client."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from fusion_core.config import Config
from fusion_core.engine import Engine, EngineResult, SwitchingEngine
from fusion_core.engine.remote.pair_message import (
    Arrays,
    checked,
    memory_arrays,
    memory_from,
    pair_from,
    prior_from,
)
from fusion_core.errors import EncodingError, UsageError
from fusion_core.pipeline.builders import open_engine, open_prior_provider
from fusion_core.priors import PriorProvider, open_provider
from fusion_core.serving.networks import Networks, session_config
from fusion_core.transport.calls import Kind, Message
from fusion_core.types import AlignedPair, FloatImage, ScenePrior

_WARM_UP = 480, 640


class Session(ABC):
    """What one client has asked for; its calls come one at a time."""

    @abstractmethod
    def opened(self) -> tuple[dict[str, Any], Arrays]:
        """Return what the client is told when the session is opened."""

    @abstractmethod
    def call(self, message: Message) -> Message:
        """Return the result of one call.

        Raises:
            FusionError: There is none.
        """


class PriorSession(Session):
    """A provider of scene priors.

    Args:
        provider: It.
    """

    def __init__(self, provider: PriorProvider) -> None:
        self._provider = provider

    def opened(self) -> tuple[dict[str, Any], Arrays]:
        """Return the width of the tokens."""
        return {"dim": self._provider.dim}, {}

    def call(self, message: Message) -> Message:
        """Assess one pair."""
        visible = checked(message.arrays, "visible", "uint8", 3)
        thermal = checked(message.arrays, "thermal", "float32", 2)
        found = self._provider.assess(visible, thermal)
        text = {
            "visible": dict(found.visible),
            "thermal": dict(found.thermal),
            "quality": found.quality,
            "disputed": list(found.disputed),
        }
        return Message(Kind.RESULT, message.number, text, {"tokens": found.tokens})


class EngineSession(Session):
    """An engine with the memory bank, the smoothing and the fades of one client's stream.

    Args:
        engine: It.
    """

    def __init__(self, engine: Engine | SwitchingEngine) -> None:
        self.engine = engine
        self._prior: ScenePrior | None = None
        self._text = ""
        self._named: list[str] = []

    def opened(self) -> tuple[dict[str, Any], Arrays]:
        """Return the network's name, device and needs, and its memory bank as trained."""
        text: dict[str, Any] = {
            "name": self.engine.name,
            "device": self.engine.device,
            "uses_mask": self.engine.uses_mask,
            "segments": self.engine.segments,
            "uses_text": self.engine.uses_text,
        }
        bank = self.engine.bank
        if bank is None:
            return text, {}
        text |= {"memory_model": bank.model_name, "memory_origin": bank.origin}
        return text, memory_arrays(bank.snapshot())

    def call(self, message: Message) -> Message:
        """Fuse one pair."""
        pair, prior, mask = self.read(message)
        revision = self.memory_revision()
        return self.answer(message, self.engine.fuse(pair, prior, mask), revision)

    def read(self, message: Message) -> tuple[AlignedPair, ScenePrior | None, FloatImage | None]:
        """Return what is to be fused; the memory bank that comes with it is taken over.

        Raises:
            EncodingError: The message does not hold a pair.
        """
        stamp_ns = message.text.get("stamp_ns")
        if not isinstance(stamp_ns, int):
            raise EncodingError(f"stamp {stamp_ns!r}: expected nanoseconds; update the older end")
        pair = pair_from(stamp_ns, message.arrays)
        mask = checked(message.arrays, "mask", "float32", 2)
        if mask is not None and mask.shape != pair.valid.shape:
            raise EncodingError(f"mask of shape {mask.shape} for pictures of {pair.valid.shape}")
        self._describe(message.text.get("text", ""))
        bank = self.engine.bank
        if bank is not None and (state := memory_from(message.arrays, bank.shape)) is not None:
            bank.restore(state)
        return pair, self._same_prior(prior_from(message.text.get("prior"), message.arrays)), mask

    def answer(self, message: Message, result: EngineResult, revision: int) -> Message:
        """Return the answer to a call, with the memory bank where it has changed.

        Args:
            message: The call.
            result: What the engine made.
            revision: The bank's before.
        """
        bank = self.engine.bank
        changed = bank is not None and bank.revision != revision
        text = {
            "name": self.engine.name,
            "quality": result.quality,
            "memory_slot": result.memory_slot,
            "network_ms": result.network_ms,
            "model": result.model,
            "text": result.text,
            "named": self._named,
        }
        memory = memory_arrays(bank.snapshot() if bank is not None and changed else None)
        return Message(Kind.RESULT, message.number, text, {"image": result.image, **memory})

    def _describe(self, text: object) -> None:
        """Take the client's text, where it is another one than before."""
        if not isinstance(text, str):
            raise EncodingError(f"text {text!r}: expected words; update the older end")
        if text != self._text:
            self.engine.describe(text)
            self._text, self._named = text, sorted(self.engine.named(text))

    def memory_revision(self) -> int:
        """Return the revision of the memory bank, 0 without one."""
        return 0 if self.engine.bank is None else self.engine.bank.revision

    def _same_prior(self, prior: ScenePrior | None) -> ScenePrior | None:
        """Return the prior as the object that it was before, where it is the same one.

        The engine fades from one prior to the next, and tells them apart as objects.
        """
        last = self._prior
        if last is None or prior is None or _identity(last) != _identity(prior):
            self._prior = prior
        return self._prior


def open_session(opening: Mapping[str, Any], base: Config, networks: Networks) -> Session:
    """Return what a client asks for.

    Args:
        opening: Its wishes: ``role`` and ``settings``.
        base: The server's own configuration.
        networks: What is served.

    Raises:
        FusionError: As opening a pipeline with these settings.
    """
    settings = opening.get("settings")
    if not isinstance(settings, Mapping):
        raise UsageError("a client has to send its settings; update the older end")
    config = session_config(base, settings)
    if opening.get("role") == "prior":
        if config.prior == "none":
            raise UsageError("prior 'none' assesses nothing; the client opens no session for it")
        return PriorSession(open_provider(config.prior, config.priors, networks.device.type))
    engine = open_engine(config, networks.device, networks.loader(config.options))[2]
    open_prior_provider(config, engine)  # refuses one that the network cannot read
    engine.warm_up(*_WARM_UP)
    return EngineSession(engine)


def _identity(prior: ScenePrior) -> tuple[int, int, str, bytes]:
    return prior.scene_id, prior.stamp_ns, prior.provider, prior.tokens.tobytes()
