"""Keys of servers and clients: CURVE, as ZeroMQ has it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import zmq
import zmq.auth

from fusion_core.errors import SinkError, UsageError

SERVER, CLIENT, CLIENTS = "server", "client", "clients"
_OWNER_ONLY: Final = 0o600
_FOLDER: Final = 0o700


def make_keys(folder: Path) -> tuple[Path, Path]:
    """Make the keys of a server and of one client; return a folder for each.

    ``FOLDER/server`` stays with the server: its secret key, and in ``clients`` the public keys of
    those who may connect. ``FOLDER/client`` goes to the client: its secret key and the server's
    public one. With a server's keys in ``FOLDER`` already, one more client is added, as
    ``FOLDER/client-2`` and so on.

    Raises:
        SinkError: The folder cannot be written.
    """
    server = folder / SERVER
    clients = server / CLIENTS
    try:
        for place in (folder, server, clients):
            place.mkdir(mode=_FOLDER, parents=True, exist_ok=True)
        if not (server / f"{SERVER}.key_secret").exists():
            _create(server, SERVER)
        number = 1
        while (client := folder / _client_name(number)).exists():
            number += 1
        client.mkdir(mode=_FOLDER)
        public = _create(client, CLIENT)
        (clients / f"{client.name}.key").write_bytes(public.read_bytes())
        (client / f"{SERVER}.key").write_bytes((server / f"{SERVER}.key").read_bytes())
    except OSError as error:
        raise SinkError(
            f"{folder}: keys cannot be written there ({error.strerror}); choose another folder"
        ) from None
    return server, client


def use_server_keys(socket: zmq.Socket[bytes], folder: Path) -> None:
    """Let a socket accept only clients whose keys it knows; an authenticator checks them.

    Raises:
        UsageError: The folder holds no server's keys.
    """
    public, secret = _pair(folder, SERVER, "server")
    socket.curve_publickey, socket.curve_secretkey = public, secret
    socket.curve_server = True


def use_client_keys(socket: zmq.Socket[bytes], folder: Path) -> None:
    """Let a socket identify itself to a server, and the server to it.

    Raises:
        UsageError: The folder holds no client's keys.
    """
    socket.curve_publickey, socket.curve_secretkey = _pair(folder, CLIENT, "client")
    socket.curve_serverkey = _load(folder / f"{SERVER}.key", "client")[0]


def _client_name(number: int) -> str:
    return CLIENT if number == 1 else f"{CLIENT}-{number}"


def _create(folder: Path, name: str) -> Path:
    """Make a pair of keys; return the file of the public one."""
    public, secret = zmq.auth.create_certificates(folder, name)
    Path(secret).chmod(_OWNER_ONLY)
    return Path(public)


def _pair(folder: Path, name: str, whose: str) -> tuple[bytes, bytes]:
    public, secret = _load(folder / f"{name}.key_secret", whose)
    if secret is None:
        raise UsageError(f"{folder / name}.key_secret: holds no secret key; {_advice(whose)}")
    return public, secret


def _load(path: Path, whose: str) -> tuple[bytes, bytes | None]:
    try:
        return zmq.auth.load_certificate(path)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: no key can be read ({error}); {_advice(whose)}") from None


def _advice(whose: str) -> str:
    return (
        f"make keys with `fusion serve --make-keys DIR` and give the folder DIR/{whose}, or a copy"
    )
