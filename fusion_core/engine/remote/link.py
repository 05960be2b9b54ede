"""A client's session with a server: opened, used, and opened again after a loss."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from numpy.typing import NDArray

from fusion_core import errors
from fusion_core.engine.remote.socket import ClientSocket
from fusion_core.engine.settings import EngineConfig
from fusion_core.errors import EncodingError, EngineAwayError, EngineError, FusionError
from fusion_core.runtime.closable import Closable
from fusion_core.runtime.timed_call import RECORDED_TIMEOUT_S, START_TIMEOUT_S
from fusion_core.transport.calls import Kind, Message, decode_call, encode_call

LinkState = Literal["away", "opening", "open", "refused", "closed"]
UNKNOWN_SESSION: Final = "unknown session"
"""Class of a refusal: the server does not know this client, and wants to be asked again."""
_SLICE_MS: Final = 100
_RETRY_S: Final = 5.0


class Link(Closable):
    """Calls to a server, one at a time; never queued, so that no call is older than its pair.

    The state is followed whenever the link is used: what ZeroMQ reports of the connection, and what
    the server answers. A lost connection opens a new session by itself.

    Args:
        config: Where the server is, and this client's keys.
        opening: What the server is asked for.
        on_opened: Called with each new session's answer.

    Raises:
        UsageError: The address or the keys are of no use.

    Attributes:
        state: Where the session stands.
        problem: Why there is none, empty while there is.
        sessions: Sessions opened so far.
    """

    def __init__(
        self,
        config: EngineConfig,
        opening: Mapping[str, Any],
        on_opened: Callable[[Message], None],
    ) -> None:
        self.state: LinkState = "away"
        self.sessions = 0
        self._endpoint = config.endpoint
        self._opening = opening
        self._on_opened = on_opened
        self._lock = threading.Lock()
        self._number = 0
        self._opening_number = 0
        self._answer: Message | None = None
        self._refusal: FusionError = EngineError("")
        self._retry_at = 0.0
        self._socket = ClientSocket(config)
        self.problem = self._socket.problem

    def wait_until_open(self, timeout_s: float) -> bool:
        """Wait for a session; return whether there is one.

        A server that answers may take longer than ``timeout_s``, to load its networks; one that
        does not know the keys is not waited for.

        Raises:
            FusionError: The server refuses to open one.
        """
        start = time.monotonic()
        with self._lock:
            self._advance(0)
            while self.state != "open":
                if self.state == "refused":
                    raise self._refusal
                limit_s = START_TIMEOUT_S if self.state == "opening" else timeout_s
                if self.state == "closed" or time.monotonic() - start > limit_s:
                    return False
                if self._socket.denied:
                    return False
                self._advance(_SLICE_MS)
        return True

    def follow(self) -> None:
        """Take what is new of the connection, without a call."""
        with self._lock:
            self._advance(0)

    def call(
        self,
        text: Callable[[], Mapping[str, Any]],
        arrays: Callable[[], Mapping[str, NDArray[Any]]],
    ) -> Message:
        """Return the server's answer to one call.

        Args:
            text: Returns the plain values; called when there is a session.
            arrays: Returns the arrays, likewise.

        Raises:
            EngineAwayError: There is no session, or it was lost before the answer came.
            FusionError: The server refuses the call.
        """
        with self._lock:
            self._advance(0)
            if self.state != "open":
                raise EngineAwayError(self.problem)
            number, self._answer = self._next_number(), None
            if not self._send(Message(Kind.CALL, number, text(), arrays())):
                raise EngineAwayError(f"{self._endpoint}: the server takes no further call")
            answer = self._await_answer()
        if answer.kind is Kind.REFUSED:
            raise _error(answer)
        return answer

    def close(self) -> None:
        """End the session; a call that waits fails."""
        self.state = "closed"
        with self._lock:
            self._socket.close()

    def _await_answer(self) -> Message:
        session, deadline = self.sessions, time.monotonic() + RECORDED_TIMEOUT_S
        while self._answer is None:
            if self.state != "open" or self.sessions != session:
                raise EngineAwayError(self.problem or f"{self._endpoint}: the server was lost")
            if time.monotonic() > deadline:
                raise EngineError(f"{self._endpoint}: no result within {RECORDED_TIMEOUT_S:g} s")
            self._advance(_SLICE_MS)
        return self._answer

    def _advance(self, milliseconds: int) -> None:
        """Wait for news, at most so long, and take them."""
        if self.state == "closed":
            return
        if self.state == "refused" and time.monotonic() >= self._retry_at:
            self._open()
        self._socket.wait(milliseconds)
        while (data := self._socket.receive()) is not None:
            self._take(data)
        for change in self._socket.changes():
            if change == "connected":
                self._open()
            else:
                self.state, self.problem = "away", self._socket.problem

    def _open(self) -> None:
        """Ask for a session."""
        self._opening_number = self._next_number()
        if self._send(Message(Kind.OPEN, self._opening_number, self._opening)):
            self.state = "opening"
            self.problem = f"{self._endpoint}: the server loads its networks"

    def _take(self, data: memoryview) -> None:
        """Take one message of the server; one that answers nothing any more is left."""
        try:
            message = decode_call(data)
        except EncodingError as error:
            self._refuse(EngineError(f"{self._endpoint}: {error}"))
            return
        if message.number == self._opening_number and self.state == "opening":
            self._take_opening(message)
        elif message.number == self._number and self.state == "open":
            if message.text.get("class") == UNKNOWN_SESSION:
                self._open()
            else:
                self._answer = message

    def _take_opening(self, message: Message) -> None:
        """Take the answer to a request for a session."""
        if message.kind is not Kind.OPENED:
            self._refuse(_error(message))
            return
        try:
            self._on_opened(message)
        except FusionError as error:
            self._refuse(error)
            return
        self.sessions += 1
        self.state, self.problem = "open", ""

    def _refuse(self, error: FusionError) -> None:
        self._refusal, self.state, self.problem = error, "refused", str(error)
        self._retry_at = time.monotonic() + _RETRY_S

    def _next_number(self) -> int:
        self._number += 1
        return self._number

    def _send(self, message: Message) -> bool:
        return self._socket.send(encode_call(message))


def _error(message: Message) -> FusionError:
    """Return what a server refused with, as if it had been raised here."""
    kind: Any = getattr(errors, str(message.text.get("class")), None)
    known = isinstance(kind, type) and issubclass(kind, FusionError)
    error: FusionError = (kind if known else EngineError)(str(message.text.get("text", "")))
    return error
