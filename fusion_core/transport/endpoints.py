"""Addresses of servers that run networks."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from typing_extensions import Self

from fusion_core.errors import UsageError

ENDPOINT_PATTERN: Final = r"^$|^ipc://[^\x00]+$|^tcp://[^\x00/]+:[0-9]{1,5}$"
"""What an address looks like; an empty text is none."""
_LONGEST_PATH: Final = 107  # bytes of a socket's path on Linux


@dataclass(frozen=True, slots=True)
class ServerEndpoint:
    """Where a server listens.

    Attributes:
        address: ``ipc://FILE`` or ``tcp://HOST:PORT``, in ZeroMQ's form.
        path: The socket's file, None for TCP.
        local: Only this machine reaches it.
    """

    address: str
    path: Path | None
    local: bool

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an address.

        Raises:
            UsageError: It has another form.
        """
        if not text or not re.match(ENDPOINT_PATTERN, text):
            raise UsageError(
                f"endpoint {text!r}: expected ipc://FILE, such as ipc:///run/fusion/engine, or "
                "tcp://HOST:PORT, such as tcp://127.0.0.1:5570"
            )
        scheme, _, rest = text.partition("://")
        if scheme == "ipc":
            path = Path(rest).absolute()
            if len(os.fsencode(path)) > _LONGEST_PATH:
                raise UsageError(
                    f"endpoint {text!r}: a socket's path has up to {_LONGEST_PATH} bytes; choose a "
                    "shorter one"
                )
            return cls(f"ipc://{path}", path, local=True)
        host, _, port = rest.rpartition(":")
        if not 0 < int(port) < 65536:
            raise UsageError(f"endpoint {text!r}: port {port}; expected 1 to 65535")
        host = "127.0.0.1" if host == "localhost" else host
        return cls(f"tcp://{host}:{port}", None, local=_is_loopback(host))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:  # a name, an interface or * may be anything
        return False
