"""Addresses of live viewers."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fusion_core.errors import UsageError

_ADDRESS = re.compile(
    r"(?P<scheme>[a-z]+)://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]*)(?::(?P<port>[0-9]{1,5}))?/?"
)
_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class ViewerAddress:
    """Where a viewer listens, or is served.

    Attributes:
        host: Name or address; the loopback interface when none is given.
        port: TCP port.
    """

    host: str
    port: int

    @classmethod
    def parse(cls, url: str, default_port: int) -> ViewerAddress:
        """Read ``NAME://HOST:PORT``; host and port may be left out.

        Args:
            url: The address.
            default_port: Port that the viewer's own programs use.

        Raises:
            UsageError: It has another form.
        """
        match = _ADDRESS.fullmatch(url)
        port = int(match["port"] or default_port) if match else 0
        if match is None or not 0 < port < 65536:
            scheme = url.partition(":")[0]
            raise UsageError(
                f"{url}: not a viewer's address; expected {scheme}://HOST:PORT, such as "
                f"{scheme}://{_LOOPBACK}:{default_port}"
            )
        return cls(match["host"].strip("[]") or _LOOPBACK, port)
