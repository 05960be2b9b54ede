"""The server of the operator's page, in a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from fusion_core.errors import ViewError
from fusion_core.runtime.closable import Closable
from fusion_core.runtime.process import BackgroundThread
from fusion_core.types import FusedFrame
from fusion_core.view.controls import Controls
from fusion_core.view.guard import Guard, is_loopback
from fusion_core.view.hub import Hub
from fusion_core.view.messages import LARGEST_MESSAGE
from fusion_core.view.recorder import Recorder
from fusion_core.view.settings import ViewConfig
from fusion_core.view.viewer import Viewer

_log = logging.getLogger(__name__)
_PAGE: Final = Path(__file__).parent / "page"
_TYPES: Final = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
_MOST_CONNECTIONS: Final = 64
_START_S, _LEAVE_S, _JOIN_S = 20.0, 2.0, 10.0


class PageServer(Closable):
    """Serves the page of one stream until it is closed.

    The stream hands its results to :meth:`show`, which never waits for any viewer. While nobody
    looks nothing is encoded.

    Args:
        config: Where.
        controls: What steers the stream.

    Raises:
        ViewError: The address cannot be used.

    Attributes:
        url: Address of the page, with the token where it needs one.
    """

    def __init__(self, config: ViewConfig, controls: Controls) -> None:
        listener = _bind(config.host, config.port)
        self._token = "" if is_loopback(config.host) else secrets.token_urlsafe(18)
        self.url = _address(config.host, listener.getsockname()[1], self._token)
        self._recorder = Recorder(Path(config.folder))
        self._hub = Hub(controls, self._recorder)
        self._server = uvicorn.Server(
            uvicorn.Config(
                Guard(self._routes(), config.host),
                http="h11",
                ws="websockets-sansio",
                ws_max_size=LARGEST_MESSAGE,
                ws_max_queue=8,
                ws_per_message_deflate=False,  # the pictures are compressed
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                limit_concurrency=_MOST_CONNECTIONS,
                timeout_graceful_shutdown=1,
            )
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = BackgroundThread(lambda: asyncio.run(self._serve(listener)), "view")
        self._thread.start()
        end = time.monotonic() + _START_S
        while not self._server.started and self._thread.is_alive() and time.monotonic() < end:
            time.sleep(0.01)

    @property
    def watched(self) -> bool:
        """Whether results are used: somebody looks, or a recording is under way."""
        return bool(self._hub.viewers) or self._recorder.running

    def show(self, fused: FusedFrame) -> None:
        """Take a result; returns at once."""
        self._hub.show(fused)

    def close(self) -> None:
        """Say goodbye to the viewers, complete the recording and end the thread."""
        loop, self._loop = self._loop, None
        if loop is not None:
            with suppress(Exception):
                asyncio.run_coroutine_threadsafe(self._say_goodbye(), loop).result(_LEAVE_S)
        self._server.should_exit = True
        self._thread.join(_JOIN_S)
        self._hub.close()
        self._recorder.close()

    async def _serve(self, listener: socket.socket) -> None:
        self._loop = asyncio.get_running_loop()
        hub = asyncio.create_task(self._hub.run())
        try:
            await self._server.serve([listener])
        finally:
            hub.cancel()

    async def _say_goodbye(self) -> None:
        await asyncio.gather(*(viewer.leave() for viewer in tuple(self._hub.viewers)))

    def _routes(self) -> Starlette:
        files = [
            Route("/" if path.name == "index.html" else f"/{path.name}", _file(path))
            for path in sorted(_PAGE.iterdir())
            if path.suffix in _TYPES
        ]
        return Starlette(routes=[*files, WebSocketRoute("/live", self._view)])

    async def _view(self, connection: WebSocket) -> None:
        await Viewer(connection, self._hub, self._token).serve()


def _file(path: Path) -> Callable[[Request], Awaitable[Response]]:
    """Return what answers with one file of the page, which is read once."""
    response = path.read_bytes(), _TYPES[path.suffix]

    async def answer(_request: Request) -> Response:
        return Response(response[0], media_type=response[1])

    return answer


def _bind(host: str, port: int) -> socket.socket:
    """Return a socket of this address.

    Raises:
        ViewError: It cannot be used.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(_MOST_CONNECTIONS)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise ViewError(
            f"view.host {host}, view.port {port}: the page cannot be served there "
            f"({error.strerror}); set another port, or view.port 0 for any that is free"
        ) from None
    return listener


def _address(host: str, port: int, token: str) -> str:
    """Return what a user opens in a browser."""
    name = socket.gethostname() if host in {"0.0.0.0", "::"} else host  # noqa: S104
    name = f"[{name}]" if ":" in name else name
    return f"http://{name}:{port}/" + (f"#{token}" if token else "")
