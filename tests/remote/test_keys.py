"""Who may connect."""

import shutil
import stat
import subprocess
import sys
from contextlib import ExitStack

import pytest
from servers import serving, wait_for

from fusion_core.config import Config
from fusion_core.errors import EngineAwayError, UsageError
from fusion_core.pipeline import Pipeline
from fusion_core.transport.keys import make_keys

BASE = {"device": "cpu", "detector": "none", "prior": "none"}


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Folders of a server, of its client, and of a client of somebody else's server."""
    folder = tmp_path_factory.mktemp("keys")
    server, client = make_keys(folder / "ours")
    stranger = make_keys(folder / "theirs")[1]
    return server, client, stranger


@pytest.fixture(scope="module")
def locked(keys, tmp_path_factory):
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    bind = f"tcp://127.0.0.1:{port}"
    with serving(bind, keys[0]):
        yield bind


def connect(endpoint, keys="", **options):
    engine = {"endpoint": endpoint, "keys": str(keys)}
    return Pipeline(Config.from_dict({**BASE, "engine": engine}), **options)


def test_the_right_keys_are_let_in(locked, keys):
    with connect(locked, keys[1]) as pipeline:
        assert pipeline.status().engine["state"] == "open"


def test_no_keys_get_nothing_and_are_told_what_to_set(locked):
    with pytest.raises(EngineAwayError, match=r"engine\.keys"):
        connect(locked)


def test_a_client_of_another_server_gets_nothing(locked, keys):
    with pytest.raises(EngineAwayError, match=r"engine\.keys|does not know the keys"):
        connect(locked, keys[2])


def test_a_client_that_is_not_listed_gets_nothing(locked, keys, tmp_path):
    """It knows the server's public key, and the server does not know its own."""
    client = tmp_path / "client"
    shutil.copytree(keys[2], client)
    shutil.copy(keys[0] / "server.key", client / "server.key")
    with pytest.raises(EngineAwayError, match="does not know the keys"):
        connect(locked, client)


def test_keys_for_a_server_without_any_are_told_apart(endpoint, keys):
    with pytest.raises(EngineAwayError, match="handshake failed with the keys"):
        connect(endpoint, keys[1])


def test_a_client_whose_key_is_added_later_comes_in_by_itself(keys, tmp_path, monkeypatch):
    monkeypatch.setattr("fusion_core.engine.remote.socket._DENIED_S", 0.1)
    server, client = tmp_path / "server", tmp_path / "client"
    shutil.copytree(keys[0], server)
    shutil.copytree(keys[2], client)
    shutil.copy(server / "server.key", client / "server.key")
    bind = f"ipc://{tmp_path}/engine"
    with ExitStack() as stack:
        with serving(bind, server):
            pipeline = stack.enter_context(connect(bind, client, server_required=False))
            assert "does not know the keys" in pipeline.status().engine["problem"]
        shutil.copy(client / "client.key", server / "clients" / "new.key")
        with serving(bind, server):
            wait_for(lambda: pipeline._engine.wait_until_open(0.1))


def test_secrets_are_for_their_owner_only(keys):
    for secret in (keys[0] / "server.key_secret", keys[1] / "client.key_secret"):
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600
        assert stat.S_IMODE(secret.parent.stat().st_mode) == 0o700
    assert not list(keys[1].glob("server.key_secret"))


def test_more_keys_add_a_client_and_keep_the_server(tmp_path):
    server, first = make_keys(tmp_path / "keys")
    before = (server / "server.key_secret").read_bytes()
    again, second = make_keys(tmp_path / "keys")
    assert (server, second.name) == (again, "client-2")
    assert (server / "server.key_secret").read_bytes() == before
    assert sorted(path.name for path in (server / "clients").iterdir()) == [
        "client-2.key",
        "client.key",
    ]
    assert (first / "client.key").read_bytes() != (second / "client.key").read_bytes()


def test_a_folder_without_keys_is_refused(tmp_path, locked):
    with pytest.raises(UsageError, match="--make-keys"):
        connect(locked, tmp_path)
    with pytest.raises(UsageError, match="--make-keys"), serving("tcp://127.0.0.1:1", tmp_path):
        pass


def test_the_command_makes_keys_and_says_where_they_go(tmp_path):
    command = [sys.executable, "-m", "fusion_core.cli.main", "serve", "--make-keys"]
    done = subprocess.run(
        [*command, str(tmp_path / "keys")], capture_output=True, text=True, timeout=120, check=True
    )
    assert f"--keys {tmp_path}/keys/server" in done.stdout
    assert f"engine.keys={tmp_path}/keys/client" in done.stdout
