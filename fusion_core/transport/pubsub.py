"""Publish and subscribe to images over ZeroMQ."""

from __future__ import annotations

import re
from dataclasses import dataclass

import zmq

from fusion_core.errors import SinkError, SourceError, UsageError
from fusion_core.transport.wire import (
    MAX_MESSAGE_BYTES,
    WireImage,
    decode_message,
    encode_message,
    topic_prefix,
)

_URL = re.compile(r"zmq://(?P<host>[A-Za-z0-9._*-]*):(?P<port>[0-9]{1,5})(?:/(?P<topic>[^\0]*))?")
_QUEUE = 8
_LINGER_MS = 1000


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where images go or come from.

    Attributes:
        host: Name or address; the loopback interface when none is given, ``*`` for all.
        port: TCP port.
        topic: Name of the stream, may be empty.
    """

    host: str
    port: int
    topic: str

    @classmethod
    def parse(cls, url: str) -> Endpoint:
        """Read ``zmq://host:port/topic``.

        Raises:
            UsageError: It has another form.
        """
        match = _URL.fullmatch(url)
        if match is None or not 0 < int(match["port"]) < 65536:
            raise UsageError(
                f"{url}: not a stream address; expected zmq://host:port/topic, such as "
                "zmq://127.0.0.1:5555/visible"
            )
        host = match["host"]
        return cls(
            "127.0.0.1" if host in {"", "localhost"} else host,
            int(match["port"]),
            match["topic"] or "",
        )

    @property
    def address(self) -> str:
        """The address in ZeroMQ's form."""
        return f"tcp://{self.host}:{self.port}"


class Publisher:
    """Send images to all subscribers; never waits for a slow one.

    Args:
        url: ``zmq://host:port/topic``; binds to the loopback interface unless a host is named.

    Raises:
        UsageError: The address is malformed.
        SinkError: The port is taken or the host is not this machine.
    """

    def __init__(self, url: str) -> None:
        endpoint = Endpoint.parse(url)
        self._topic = endpoint.topic
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUB)
        self._socket.set(zmq.SNDHWM, _QUEUE)
        self._socket.set(zmq.LINGER, _LINGER_MS)
        try:
            self._socket.bind(endpoint.address)
        except zmq.ZMQError as error:
            self.close()
            raise SinkError(
                f"{url}: cannot be bound ({error.strerror}); choose a free port and an address of "
                "this machine, such as 127.0.0.1 or * for all"
            ) from None

    def send(self, image: WireImage) -> None:
        """Send one image.

        Raises:
            EncodingError: It does not fit its encoding, or is larger than 64 MB.
        """
        self._socket.send(encode_message(image, self._topic), copy=False)

    def close(self) -> None:
        """Send what is under way, for a second at most; may be called twice."""
        self._socket.close()
        self._context.term()


class Subscriber:
    """Receive images; connects in the background and again after the sender was gone.

    Args:
        url: ``zmq://host:port/topic``.
        newest_only: Keep only the newest image between two calls of ``receive``.

    Raises:
        UsageError: The address is malformed.
        SourceError: The host cannot be resolved.
    """

    def __init__(self, url: str, *, newest_only: bool = False) -> None:
        endpoint = Endpoint.parse(url)
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.set(zmq.LINGER, 0)
        self._socket.set(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
        # A high-water mark keeps the oldest messages, so it bounds memory here, not age.
        self._socket.set(zmq.RCVHWM, _QUEUE)
        if newest_only:
            self._socket.set(zmq.CONFLATE, 1)
        self._socket.subscribe(topic_prefix(endpoint.topic))
        try:
            self._socket.connect(endpoint.address)
        except zmq.ZMQError as error:
            self.close()
            raise SourceError(
                f"{url}: cannot be reached ({error.strerror}); check the host's name"
            ) from None

    def receive(self, timeout_s: float) -> WireImage | None:
        """Wait for an image; None when none came in time.

        Raises:
            EncodingError: A message is foreign or truncated; the next one may be fine.
        """
        if not self._socket.poll(round(timeout_s * 1000)):
            return None
        return decode_message(self._socket.recv(copy=False).buffer)

    def close(self) -> None:
        """Disconnect; may be called twice, from the thread that receives."""
        self._socket.close()
        self._context.term()
