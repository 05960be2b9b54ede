"""The server's sockets and threads."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import zmq
from zmq.auth.thread import ThreadAuthenticator

from fusion_core.config import Config
from fusion_core.engine.remote.link import UNKNOWN_SESSION
from fusion_core.errors import EncodingError, SinkError, UsageError
from fusion_core.runtime.closable import Closable
from fusion_core.runtime.message_filter import MessageFilter
from fusion_core.runtime.process import BackgroundThread
from fusion_core.serving.fair_queue import FairQueue
from fusion_core.serving.fusing import fuse_calls, fuses_with
from fusion_core.serving.networks import Networks
from fusion_core.serving.refusal import refusal
from fusion_core.serving.session import EngineSession, Session, open_session
from fusion_core.serving.socket_file import SocketFile
from fusion_core.transport.calls import (
    BUFFER_BYTES,
    MAX_CALL_BYTES,
    Kind,
    Message,
    call_number,
    decode_call,
    encode_call,
)
from fusion_core.transport.endpoints import ServerEndpoint
from fusion_core.transport.keys import CLIENTS, use_server_keys

_log = logging.getLogger(__name__)
_QUEUE: Final = 2  # messages per client that wait in either direction
_HEARTBEAT_MS, _SILENCE_MS = 1000, 5000
_POLL_MS: Final = 200
_MOST_SESSIONS: Final = 64
_MOST_TOGETHER: Final = 8
_ANSWERS: Final = "inproc://answers"
_OWNER_ONLY: Final = 0o177
_JOIN_S: Final = 5.0


class _Work(NamedTuple):
    """A message of a client, and its session where it has one."""

    client: bytes
    message: Message
    session: Session | None


@dataclass
class _Entry:
    session: Session
    used_at: float


class Sessions:
    """Sessions by client; beyond the limit the one that was not used for longest ends."""

    def __init__(self, most: int = _MOST_SESSIONS) -> None:
        self._most = most
        self._entries: dict[bytes, _Entry] = {}
        self._lock = threading.Lock()

    def add(self, client: bytes, session: Session) -> None:
        """Keep a session; an earlier one of the same client ends."""
        with self._lock:
            self._entries[client] = _Entry(session, time.monotonic())
            while len(self._entries) > self._most:
                del self._entries[min(self._entries, key=lambda c: self._entries[c].used_at)]

    def get(self, client: bytes) -> Session | None:
        """Return a client's session, None without one."""
        with self._lock:
            entry = self._entries.get(client)
            if entry is None:
                return None
            entry.used_at = time.monotonic()
            return entry.session


class Server(Closable):
    """Run networks for clients, each with a session of its own.

    One thread receives and sends, one opens sessions, one fuses and one assesses priors, so that
    loading a network or a slow prior delays nobody's frames.

    Args:
        bind: Address.
        config: Device, threads and weights of priors.
        networks: What is served.
        keys: Folder of the server's keys; without one only this machine may connect.

    Raises:
        UsageError: The address is malformed, the keys are of no use, or other machines could
            connect without any.
        SinkError: The address is taken.
    """

    def __init__(
        self, bind: str, config: Config, networks: Networks, keys: Path | None = None
    ) -> None:
        endpoint = ServerEndpoint.parse(bind)
        if not endpoint.local and keys is None:
            raise UsageError(
                f"--bind {bind}: other machines could connect; make keys with `fusion serve "
                "--make-keys DIR` and give --keys DIR/server, or bind to 127.0.0.1 or ipc://FILE"
            )
        self._config, self._networks = config, networks
        self._sessions = Sessions()
        self._refusals = MessageFilter()
        self._opening: FairQueue[_Work] = FairQueue()
        self._fusing: FairQueue[_Work] = FairQueue()
        self._assessing: FairQueue[_Work] = FairQueue()
        self._file = SocketFile(endpoint.path) if endpoint.path else None
        self._context = zmq.Context()
        self._authenticator: ThreadAuthenticator | None = None
        try:
            self._router = self._bound(endpoint, keys)
        except Exception:
            self._close_sockets()
            raise
        self._answers = self._context.socket(zmq.PULL)
        self._answers.bind(_ANSWERS)
        self._workers: list[threading.Thread] = []

    def serve(self, stop: threading.Event) -> None:
        """Serve until the event is set."""
        for name, work in (
            ("open", self._open_sessions),
            ("fuse", self._fuse),
            ("assess", self._assess),
        ):
            worker = BackgroundThread(work, name)
            worker.start()
            self._workers.append(worker)
        poller = zmq.Poller()
        for socket in (self._router, self._answers):
            poller.register(socket, zmq.POLLIN)
        while not stop.is_set():
            for socket, _ in poller.poll(_POLL_MS):
                if socket is self._answers:
                    parts = self._answers.recv_multipart(copy=False)
                    # A client that takes no answers loses them; nobody else waits for it.
                    self._router.send_multipart(parts, copy=False)
                else:
                    self._receive()

    def close(self) -> None:
        """End all sessions; what a network computes now is dropped."""
        for queue in (self._opening, self._fusing, self._assessing):
            queue.close()
        for worker in self._workers:
            worker.join(_JOIN_S)
        self._close_sockets()

    def _close_sockets(self) -> None:
        if self._authenticator is not None:
            self._authenticator.stop()
        self._context.destroy(0)
        if self._file is not None:
            self._file.close()

    def _bound(self, endpoint: ServerEndpoint, keys: Path | None) -> zmq.Socket[bytes]:
        router = self._context.socket(zmq.ROUTER)
        for option, value in (
            (zmq.LINGER, 0),
            (zmq.SNDBUF, BUFFER_BYTES),
            (zmq.RCVBUF, BUFFER_BYTES),
            (zmq.IPV6, "[" in endpoint.address),
            (zmq.SNDHWM, _QUEUE),
            (zmq.RCVHWM, _QUEUE),
            (zmq.MAXMSGSIZE, MAX_CALL_BYTES),
            (zmq.HEARTBEAT_IVL, _HEARTBEAT_MS),
            (zmq.HEARTBEAT_TIMEOUT, _SILENCE_MS),
            (zmq.HANDSHAKE_IVL, _SILENCE_MS),
        ):
            router.set(option, value)
        if keys is not None:
            use_server_keys(router, keys)
            clients = keys / CLIENTS
            if not clients.is_dir():
                raise UsageError(f"{clients}: no such folder; it holds the clients' public keys")
            self._authenticator = ThreadAuthenticator(self._context)
            self._authenticator.start()
            self._authenticator.configure_curve(domain="*", location=clients)
        before = os.umask(_OWNER_ONLY) if endpoint.path else None
        try:
            router.bind(endpoint.address)
        except zmq.ZMQError as error:
            raise SinkError(
                f"{endpoint.address}: cannot be bound ({error.strerror}); another server may be "
                "there: end it, or choose an address of this machine that is free"
            ) from None
        finally:
            if before is not None:
                os.umask(before)
        return router

    def _receive(self) -> None:
        """Take one message of a client to where it is worked on."""
        client, *parts = self._router.recv_multipart(copy=False)
        name = client.bytes
        data = parts[0].buffer if len(parts) == 1 else memoryview(b"")
        try:
            message = decode_call(data)
            if message.kind is Kind.OPEN:
                self._opening.put(name, _Work(name, message, None))
                return
            if message.kind is not Kind.CALL:
                raise EncodingError(f"message of kind {message.kind.name}: no request")
        except EncodingError as error:
            self._refuse(name, call_number(data), error)
            return
        session = self._sessions.get(name)
        if session is None:
            text = {"class": UNKNOWN_SESSION, "text": "open a session first"}
            self._send(self._router, name, Message(Kind.REFUSED, message.number, text))
            return
        queue = self._fusing if isinstance(session, EngineSession) else self._assessing
        queue.put(name, _Work(name, message, session))

    def _refuse(self, client: bytes, number: int, error: EncodingError) -> None:
        if self._refusals.is_new(str(error)):
            _log.warning("a message is refused: %s", error)
        self._send(self._router, client, refusal(number, error))

    @staticmethod
    def _send(socket: zmq.Socket[bytes], client: bytes, message: Message) -> None:
        socket.send_multipart([client, encode_call(message)], copy=False)

    def _open_sessions(self) -> None:
        with self._context.socket(zmq.PUSH) as answers:
            answers.connect(_ANSWERS)
            while (work := self._opening.take()) is not None:
                self._send(answers, work.client, _answered(work, self._open))

    def _open(self, work: _Work) -> Message:
        session = open_session(work.message.text, self._config, self._networks)
        text, arrays = session.opened()
        self._sessions.add(work.client, session)
        return Message(Kind.OPENED, work.message.number, text, arrays)

    def _assess(self) -> None:
        with self._context.socket(zmq.PUSH) as answers:
            answers.connect(_ANSWERS)
            while (work := self._assessing.take()) is not None:
                self._send(answers, work.client, _answered(work, _called))

    def _fuse(self) -> None:
        with self._context.socket(zmq.PUSH) as answers:
            answers.connect(_ANSWERS)
            while (work := self._fusing.take()) is not None:
                together = [work, *self._alike(work)]
                if len(together) == 1:
                    self._send(answers, work.client, _answered(work, _called))
                    continue
                made = fuse_calls([(_engine(each), each.message) for each in together])
                for each, message in zip(together, made, strict=True):
                    self._send(answers, each.client, message)

    def _alike(self, work: _Work) -> list[_Work]:
        """Take what waits and can be fused in one pass with this."""
        common = fuses_with(work.session, work.message)
        if common is None:
            return []
        return self._fusing.take_alike(
            lambda other: fuses_with(other.session, other.message) == common, _MOST_TOGETHER - 1
        )


def _called(work: _Work) -> Message:
    assert work.session is not None, "calls have a session"
    return work.session.call(work.message)


def _engine(work: _Work) -> EngineSession:
    assert isinstance(work.session, EngineSession), "only such calls are fused"
    return work.session


def _answered(work: _Work, handle: Callable[[_Work], Message]) -> Message:
    """Return the answer to a message, or why there is none."""
    try:
        return handle(work)
    except Exception as error:  # noqa: BLE001 - one client's fault must not end the others' service
        return refusal(work.message.number, error)
