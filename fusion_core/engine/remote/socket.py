"""A client's socket, and what becomes of its connection."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

import zmq
from zmq.utils.monitor import parse_monitor_message

from fusion_core.engine.settings import EngineConfig
from fusion_core.errors import UsageError
from fusion_core.runtime.closable import Closable
from fusion_core.transport.calls import BUFFER_BYTES, MAX_CALL_BYTES
from fusion_core.transport.endpoints import ServerEndpoint
from fusion_core.transport.keys import use_client_keys

Change = Literal["connected", "lost"]

_HEARTBEAT_MS: Final = 1000
_SILENCE_MS: Final = 5000  # after so long without any sign of life the connection is given up
_RECONNECT_MS: Final = (100, 2000)
_DENIED_S: Final = 5.0  # until a server that has refused the keys is asked again
_QUEUE: Final = 2
# After these ZeroMQ does not connect again by itself.
_DENIALS: Final = (zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL, zmq.EVENT_HANDSHAKE_FAILED_AUTH)
_EVENTS: Final = (
    zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_DISCONNECTED
)


class ClientSocket(Closable):
    """A socket that connects in the background, again and again.

    To be used by one thread at a time. ZeroMQ keeps the connection and its heartbeats in a thread
    of its own; this class reads what it reports.

    Args:
        config: Where the server is, and this client's keys.

    Raises:
        UsageError: The address or the keys are of no use.

    Attributes:
        problem: Why there is no connection, and what to check.
        denied: A server is there and does not let this client in.
    """

    def __init__(self, config: EngineConfig) -> None:
        endpoint = ServerEndpoint.parse(config.endpoint)
        self.denied = False
        self._address = endpoint.address
        self._again_at = 0.0
        self._keys = config.keys
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        for option, value in (
            (zmq.LINGER, 0),
            (zmq.SNDBUF, BUFFER_BYTES),
            (zmq.RCVBUF, BUFFER_BYTES),
            (zmq.IPV6, "[" in endpoint.address),
            (zmq.IMMEDIATE, 1),  # nothing waits for a server that is away
            (zmq.SNDHWM, _QUEUE),
            (zmq.RCVHWM, _QUEUE),
            (zmq.MAXMSGSIZE, MAX_CALL_BYTES),
            (zmq.HEARTBEAT_IVL, _HEARTBEAT_MS),
            (zmq.HEARTBEAT_TIMEOUT, _SILENCE_MS),
            (zmq.HANDSHAKE_IVL, _SILENCE_MS),
            (zmq.RECONNECT_IVL, _RECONNECT_MS[0]),
            (zmq.RECONNECT_IVL_MAX, _RECONNECT_MS[1]),
        ):
            self._socket.set(option, value)
        where = "" if endpoint.local else "; check host, port and firewall"
        self._absent = (
            f"{config.endpoint}: no server answers; start one there with `fusion serve --bind "
            f"ENDPOINT`{where}"
        )
        self._place = config.endpoint
        self.problem = self._absent
        try:
            if config.keys:
                use_client_keys(self._socket, Path(config.keys))
            self._monitor = self._socket.get_monitor_socket(_EVENTS)
            self._monitor.set(zmq.LINGER, 0)
            self._socket.connect(endpoint.address)
        except zmq.ZMQError as error:
            self._context.destroy(0)
            raise UsageError(
                f"engine.endpoint {config.endpoint!r}: cannot be used ({error.strerror}); check it"
            ) from None
        except UsageError:
            self._context.destroy(0)
            raise
        self._poller = zmq.Poller()
        self._poller.register(self._socket, zmq.POLLIN)
        self._poller.register(self._monitor, zmq.POLLIN)

    def send(self, data: memoryview) -> bool:
        """Send one message; return whether there was a connection that took it."""
        try:
            self._socket.send(data, zmq.DONTWAIT, copy=False)
        except zmq.Again:
            return False
        return True

    def wait(self, milliseconds: int) -> None:
        """Wait until there is a message or a change of the connection."""
        if self.denied and time.monotonic() >= self._again_at:
            self._connect_again()
        self._poller.poll(milliseconds)

    def receive(self) -> memoryview | None:
        """Return the next message, None where there is none."""
        try:
            return self._socket.recv(zmq.DONTWAIT, copy=False).buffer
        except zmq.Again:
            return None

    def changes(self) -> list[Change]:
        """Return what became of the connection since the last call, oldest first."""
        found: list[Change] = []
        while self._monitor.poll(0):
            event = parse_monitor_message(self._monitor.recv_multipart())["event"]
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self.problem, self.denied = "", False
                found.append("connected")
            else:
                self.problem = self._explain(event)
                found.append("lost")
                if event in _DENIALS:
                    self.denied, self._again_at = True, time.monotonic() + _DENIED_S
        return found

    def close(self) -> None:
        """Disconnect; a message under way is lost."""
        self._socket.disable_monitor()
        self._context.destroy(0)

    def _connect_again(self) -> None:
        """Ask a server that has refused the keys once more: it may know them by now."""
        self._again_at = time.monotonic() + _DENIED_S
        with suppress(zmq.ZMQError):
            self._socket.disconnect(self._address)
        self._socket.connect(self._address)

    def _explain(self, event: int) -> str:
        """Return why a connection was lost or never made."""
        if event == zmq.EVENT_DISCONNECTED:
            # Of a server that closes during the handshake the reason is kept.
            return self.problem if "keys" in self.problem else self._absent
        if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
            return (
                f"{self._place}: the server does not know the keys in {self._keys}: add its "
                "client.key to the server's folder `clients`"
            )
        given = f"the keys in {self._keys}" if self._keys else "no keys"
        return (
            f"{self._place}: the handshake failed with {given}: set engine.keys to a client's "
            "folder of the `fusion serve --make-keys` whose keys the server has, and check that a "
            "`fusion serve` listens there"
        )
