"""The engine of a pipeline whose networks run on a server."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from fusion_core.engine.plain_fusion import single_picture
from fusion_core.engine.remote.bank import RemoteBank
from fusion_core.engine.remote.link import Link
from fusion_core.engine.remote.pair_message import (
    memory_arrays,
    memory_from,
    pair_arrays,
    picture,
    prior_text,
)
from fusion_core.engine.result import EngineResult
from fusion_core.engine.settings import EngineConfig
from fusion_core.errors import EncodingError, EngineAwayError
from fusion_core.runtime.closable import Closable
from fusion_core.transport.calls import Message
from fusion_core.types import AlignedPair, FloatImage, ScenePrior, UInt8Image

_log = logging.getLogger(__name__)
CONNECT_S: Final = 5.0
"""How long the start waits for a server, in seconds."""


class RemoteEngine(Closable):
    """Fuse pairs on a server; see ``Engine``, whose results these are, bit by bit.

    What changes from frame to frame lives in the session on the server: temporal smoothing, fades
    and the memory bank. Of the bank the client keeps a copy (:class:`RemoteBank`) that survives the
    server; the rest begins anew with each session, as after a pause of the stream.

    Args:
        config: Where the server is.
        wanted: Settings of the networks, nested by block.

    Raises:
        UsageError: The address or the keys are of no use.
    """

    def __init__(self, config: EngineConfig, wanted: Mapping[str, Any]) -> None:
        self._config = config
        self._bank: RemoteBank | None = None
        self._model = str(wanted["model"])
        self._name, self._device, self._uses_mask = self._model, "unknown", True
        self._segments = False
        self._uses_text, self._text = True, ""
        opening = {"role": "engine", "settings": dict(wanted)}
        self._link = Link(config, opening, self._on_opened)

    @property
    def name(self) -> str:
        """Name of the network, as the server gives it."""
        return self._name

    @property
    def device(self) -> str:
        """Where the network runs on the server: ``cpu`` or ``cuda``; ``unknown`` before."""
        return self._device

    @property
    def uses_mask(self) -> bool:
        """Whether a mask changes the result; True until the server is known."""
        return self._uses_mask

    @property
    def segments(self) -> bool:
        """Whether it finds the object in a marked box itself; False until the server is known."""
        return self._segments

    @property
    def uses_text(self) -> bool:
        """Whether a text changes the result; True until the server is known."""
        return self._uses_text

    def describe(self, text: str) -> None:
        """Send this text with every pair; see :meth:`Engine.describe`."""
        self._text = text

    def named(self, text: str) -> frozenset[str]:  # noqa: ARG002
        """Return what a text names; that comes with the results of the server, which reads it."""
        return frozenset()

    @property
    def bank(self) -> RemoteBank | None:
        """Copy of the memory bank; another object once the server has other weights."""
        return self._bank

    def start(self, *, required: bool) -> None:
        """Wait for the server at the start.

        Args:
            required: It has to be there.

        Raises:
            EngineAwayError: It does not answer, and is required.
            FusionError: It refuses the settings.
        """
        if not self._link.wait_until_open(CONNECT_S):
            if required:
                raise EngineAwayError(self._link.problem)
            _log.warning("%s; until then frames go without network", self._link.problem)

    def wait_until_open(self, timeout_s: float) -> bool:
        """Wait for a server that is away; return whether it is there."""
        return self._link.wait_until_open(timeout_s)

    def fuse(
        self, pair: AlignedPair, prior: ScenePrior | None = None, mask: FloatImage | None = None
    ) -> EngineResult:
        """Fuse one pair; see :meth:`Engine.fuse`.

        Raises:
            EngineAwayError: The server is away.
            FusionError: The server refuses the pair, as the engine there would.
        """
        if (single := single_picture(pair)) is not None:
            return self._passed(pair, prior, single)
        return self._call(pair, prior, mask)

    def warm_up(self, height: int, width: int) -> None:
        """Do nothing: the server has run its networks once when it opens a session."""

    def status(self) -> dict[str, Any]:
        """Return address, state, sessions opened so far and what is wrong; from any thread."""
        return {
            "endpoint": self._config.endpoint,
            "state": self._link.state,
            "sessions": self._link.sessions,
            "problem": self._link.problem,
        }

    def close(self) -> None:
        """End the session."""
        self._link.close()

    def _passed(
        self, pair: AlignedPair, prior: ScenePrior | None, single: UInt8Image
    ) -> EngineResult:
        """Return the only picture of a pair; a prior that picks the network goes on doing so."""
        if self._model != "auto":
            self._link.follow()
            return EngineResult(single)
        try:
            return self._call(pair, prior, None)
        except EngineAwayError:
            return EngineResult(single)

    def _call(
        self, pair: AlignedPair, prior: ScenePrior | None, mask: FloatImage | None
    ) -> EngineResult:
        """Let the server fuse a pair."""
        sent: list[tuple[RemoteBank | None, int, int]] = []

        def arrays() -> dict[str, Any]:
            bank, session = self._bank, self._link.sessions
            state, edits = bank.unsent(session) if bank else (None, 0)
            sent.append((bank, session, edits))
            return pair_arrays(pair, prior, mask) | memory_arrays(state)

        def text() -> dict[str, Any]:
            return {"stamp_ns": pair.stamp_ns, "prior": prior_text(prior), "text": self._text}

        answer = self._link.call(text, arrays)
        bank, session, edits = sent[0]
        if bank is not None:
            bank.take(memory_from(answer.arrays, bank.shape), session, edits)
        return self._result(answer)

    def _on_opened(self, message: Message) -> None:
        text = message.text
        self._name, self._device = str(text.get("name")), str(text.get("device"))
        self._uses_mask = bool(text.get("uses_mask"))
        self._segments = bool(text.get("segments"))
        self._uses_text = bool(text.get("uses_text"))
        trained = memory_from(message.arrays)
        if trained is None:
            self._bank = None
            return
        model, origin = str(text.get("memory_model")), str(text.get("memory_origin"))
        kept = self._bank
        if kept is None or (kept.model, kept.origin) != (model, origin):
            self._bank = RemoteBank(model, origin, trained)

    def _result(self, message: Message) -> EngineResult:
        text = message.text
        try:
            self._name = str(text["name"])
            quality, slot = text["quality"], text["memory_slot"]
            return EngineResult(
                image=picture(message.arrays, "image"),
                quality=None if quality is None else float(quality),
                memory_slot=None if slot is None else int(slot),
                network_ms=float(text["network_ms"]),
                model=str(text["model"]),
                text=None if text.get("text") is None else str(text["text"]),
                named=frozenset(map(str, text.get("named", ()))),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise EncodingError(f"result is malformed ({error}); update the older end") from None
