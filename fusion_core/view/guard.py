"""Who may talk to the page: the machine itself by default, and the page's own scripts only."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import MutableMapping
from typing import Any, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

_REFUSED: Final = 1008  # "policy violation" of the WebSocket standard
_HEADERS: Final = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class Guard:
    """Refuses requests that come by another name or from another site's page.

    A name that somebody else's name server points at this machine (DNS rebinding) is none of its
    own. A browser states the site of the page that opens a WebSocket, and that must be this one.

    Args:
        app: What answers the requests that pass.
        host: Where the page is served.
    """

    def __init__(self, app: ASGIApp, host: str) -> None:
        self._app = app
        self._loopback = is_loopback(host)
        self._names = {"localhost", host.lower()}
        if not self._loopback:
            own = socket.gethostname().lower()
            self._names |= {own, f"{own}.local"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        problem = self._problem(headers, websocket=scope["type"] == "websocket")
        if problem and scope["type"] == "websocket":
            await WebSocketClose(_REFUSED, problem)(scope, receive, send)
        elif problem:
            await PlainTextResponse(problem, 403)(scope, receive, _with_headers(send))
        else:
            await self._app(scope, receive, _with_headers(send))

    def _problem(self, headers: Headers, *, websocket: bool) -> str:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._is_own(_host_name(hosts[0])):
            return "refused: open the page by the address that was printed"
        origin = headers.get("origin")
        if origin is not None and origin not in {f"http://{hosts[0]}", f"https://{hosts[0]}"}:
            return "refused: the request comes from another site's page"
        if websocket and origin is None:
            return "refused: the request does not say which page it comes from"
        return ""

    def _is_own(self, name: str) -> bool:
        """Return whether a name means this machine without a name server of somebody else."""
        if name in self._names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or not self._loopback


def is_loopback(host: str) -> bool:
    """Return whether an address can be reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _host_name(header: str) -> str:
    """Return the name or address in a Host header, without port and brackets."""
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.partition(":")[0].lower()


def _with_headers(send: Send) -> Send:
    """Add to every answer what tells browsers to trust nothing but the page's own files."""

    async def send_with_headers(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(_HEADERS)
        await send(message)

    return send_with_headers
