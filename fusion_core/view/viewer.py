"""One browser that looks: pictures out by dropping, never by queueing; wishes in."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final

from starlette.websockets import WebSocket, WebSocketDisconnect

from fusion_core.errors import FusionError
from fusion_core.types import FusedFrame
from fusion_core.view.hub import Hub
from fusion_core.view.messages import (
    Change,
    Drawn,
    Hello,
    Mark,
    Message,
    Probe,
    Record,
    Show,
    Text,
    Unmark,
    read_message,
)
from fusion_core.view.pictures import pack
from fusion_core.view.reading import reading

_log = logging.getLogger(__name__)
_IN_FLIGHT: Final = 2  # pictures on their way; the next waits until one of them has been shown
_MOST_VIEWERS: Final = 8
_MOST_PER_SECOND: Final = 200  # messages of one viewer
_HELLO_S: Final = 10.0
_FULL, _REFUSED, _AWAY, _FAILED = 1013, 1008, 1001, 1011  # of the WebSocket standard
WRONG_TOKEN: Final = 4401
"""Close code of a viewer whose token is not the page's."""


class Viewer:
    """One open page.

    Args:
        socket: Its connection.
        hub: What it shares with the others.
        token: What it must know; empty: nothing.
    """

    def __init__(self, socket: WebSocket, hub: Hub, token: str) -> None:
        self._socket = socket
        self._hub = hub
        self._token = token
        self._fresh = asyncio.Event()
        self._replies: deque[dict[str, Any]] = deque(maxlen=20)
        self._status: dict[str, Any] | None = None
        self._wish = Show(kind="show", layers=(), width=640)
        self._point: tuple[float, float] | None = None
        self._sent: FusedFrame | None = None
        self._on_the_way: deque[int] = deque()
        self._number = 0
        self._second, self._received = 0, 0

    async def serve(self) -> None:
        """Talk to the browser until it goes."""
        await self._socket.accept()
        # A KeyError is a binary message, which none of the page's own is.
        with suppress(WebSocketDisconnect, asyncio.TimeoutError, RuntimeError, KeyError):
            if not await self._is_admitted():
                return
            self._hub.viewers.add(self)
            sender = asyncio.create_task(self._send())
            try:
                await self._hub.tell_status()
                await self._receive()
            finally:
                self._hub.viewers.discard(self)
                sender.cancel()

    def wake(self) -> None:
        """There is something new to send."""
        self._fresh.set()

    def tell_status(self, status: dict[str, Any]) -> None:
        """Take the newest state; one that has not been sent is replaced."""
        self._status = status
        self._fresh.set()

    async def leave(self) -> None:
        """Say that the stream has ended, and hang up."""
        with suppress(Exception):
            await self._socket.send_text(json.dumps({"kind": "end"}))
            await self._socket.close(_AWAY)

    async def _is_admitted(self) -> bool:
        if len(self._hub.viewers) >= _MOST_VIEWERS:
            await self._socket.close(_FULL, f"{_MOST_VIEWERS} pages are open: close one")
            return False
        first = await asyncio.wait_for(self._socket.receive_text(), _HELLO_S)
        with suppress(ValueError):
            hello = read_message(first)
            if isinstance(hello, Hello) and secrets.compare_digest(
                hello.token.encode(), self._token.encode()
            ):
                return True
        await self._socket.close(WRONG_TOKEN, "open the page by the address that was printed")
        return False

    async def _send(self) -> None:
        """Send what is new, one thing at a time: a slow browser holds up nobody else."""
        try:
            while True:
                await self._fresh.wait()
                self._fresh.clear()
                while self._replies:
                    await self._socket.send_text(json.dumps(self._replies.popleft()))
                status, self._status = self._status, None
                if status is not None:
                    await self._socket.send_text(json.dumps(status))
                await self._send_picture()
        except (WebSocketDisconnect, RuntimeError):
            pass  # the browser has gone
        except Exception:  # noqa: BLE001 - one viewer's trouble is its own
            _log.exception("a viewer could not be served; its page connects again")
            await self._socket.close(_FAILED)

    async def _send_picture(self) -> None:
        fused = self._hub.newest
        ready = self._wish.layers and len(self._on_the_way) < _IN_FLIGHT
        if fused is None or fused is self._sent or not ready:
            return
        self._sent = fused
        self._number += 1
        self._on_the_way.append(self._number)
        picture = partial(self._picture, fused, self._wish, self._point, self._number)
        await self._socket.send_bytes(await self._hub.encode(picture))

    def _picture(
        self, fused: FusedFrame, wish: Show, point: tuple[float, float] | None, number: int
    ) -> bytes:
        """Return one message; runs in the encoding thread."""
        rows, columns = fused.image.shape[:2]
        header = {
            "number": number,
            "frame": fused.frame,
            "size": [columns, rows],
            "objects": [
                {
                    "label": found.label,
                    "score": round(found.score, 2),
                    "area": [
                        found.box[0] / columns,
                        found.box[1] / rows,
                        found.box[2] / columns,
                        found.box[3] / rows,
                    ],
                    "track": found.track_id,
                    "celsius": found.temperature,
                }
                for found in fused.detections
            ],
            "reading": point and reading(fused, point, registered=self._hub.registered),
        }
        return pack(header, self._hub.encoder.encode(fused, wish.layers, wish.width))

    async def _receive(self) -> None:
        while True:
            text = await self._socket.receive_text()
            if self._is_flood():
                await self._socket.close(_REFUSED, "too many messages")
                return
            try:
                message = read_message(text)
            except ValueError:
                await self._socket.close(_REFUSED, "a message that this page does not know")
                return
            await self._handle(message)

    def _is_flood(self) -> bool:
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._received = second, 0
        self._received += 1
        return self._received > _MOST_PER_SECOND

    async def _handle(self, message: Message) -> None:
        match message:
            case Drawn():
                while self._on_the_way and self._on_the_way[0] <= message.frame:
                    self._on_the_way.popleft()
                self._fresh.set()
            case Show():
                self._wish, self._sent = message, None
                self._fresh.set()
            case Probe():
                self._point, self._sent = message.point, None
                self._fresh.set()
            case Mark():
                await self._act(partial(self._hub.mark, message))
            case Unmark():
                await self._act(partial(self._hub.marks.remove, message.mark))
            case Text():
                await self._act(partial(self._hub.controls.submit_text, message.text.strip()))
            case Change():
                await self._act(partial(self._hub.change, message))
            case Record():
                recorder = self._hub.recorder
                await self._act(recorder.start if message.on else recorder.stop)
            case Hello():
                pass

    async def _act(self, act: Callable[[], object]) -> None:
        """Carry out a wish, and say why where it cannot be."""
        try:
            await self._hub.work(act)
        except FusionError as error:
            self._replies.append({"kind": "problem", "text": str(error)})
        except Exception as error:  # noqa: BLE001 - one wish must not end the connection
            _log.exception("what a viewer asked for failed")
            self._replies.append({"kind": "problem", "text": f"{type(error).__name__}: {error}"})
        await self._hub.tell_status()
