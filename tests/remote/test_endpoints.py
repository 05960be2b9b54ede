import os
import socket
import stat

import pytest
import torch
from servers import ServerProcess, serving

from fusion_core.cli.main import main
from fusion_core.config import Config
from fusion_core.errors import ConfigError, SinkError, UsageError
from fusion_core.serving import Server
from fusion_core.serving.networks import Networks
from fusion_core.transport.endpoints import ServerEndpoint


@pytest.mark.parametrize(
    ("text", "address", "local"),
    [
        ("ipc:///run/fusion/engine", "ipc:///run/fusion/engine", True),
        ("tcp://127.0.0.1:5570", "tcp://127.0.0.1:5570", True),
        ("tcp://127.8.8.8:1", "tcp://127.8.8.8:1", True),
        ("tcp://localhost:5570", "tcp://127.0.0.1:5570", True),
        ("tcp://[::1]:5570", "tcp://[::1]:5570", True),
        ("tcp://192.168.0.7:65535", "tcp://192.168.0.7:65535", False),
        ("tcp://0.0.0.0:5570", "tcp://0.0.0.0:5570", False),
        ("tcp://*:5570", "tcp://*:5570", False),
        ("tcp://robot.local:5570", "tcp://robot.local:5570", False),
        ("tcp://127.0.0.1.example.org:5570", "tcp://127.0.0.1.example.org:5570", False),
    ],
)
def test_addresses(text, address, local):
    found = ServerEndpoint.parse(text)
    assert (found.address, found.local) == (address, local)


@pytest.mark.parametrize(
    "text",
    ["", "robot:5570", "tcp://127.0.0.1", "tcp://127.0.0.1:0", "tcp://127.0.0.1:65536", "ipc://",
     "udp://127.0.0.1:5570", "tcp://:5570", "tcp://a/b:1", "ipc:///" + "x" * 200],
)  # fmt: skip
def test_what_is_no_address_is_refused(text):
    with pytest.raises(UsageError, match="endpoint"):
        ServerEndpoint.parse(text)


@pytest.mark.parametrize("text", ["robot:5570", "tcp://127.0.0.1", "udp://127.0.0.1:5570"])
def test_the_setting_refuses_it_as_well(text):
    with pytest.raises(ConfigError, match="endpoint"):
        Config.from_dict({"engine": {"endpoint": text}})


@pytest.mark.parametrize("bind", ["tcp://0.0.0.0:5570", "tcp://*:5570", "tcp://10.0.0.1:5570"])
def test_other_machines_need_keys(bind):
    with pytest.raises(UsageError, match="--make-keys"):
        Server(bind, Config(), Networks(torch.device("cpu")))


def test_a_socket_is_its_owners_only(tmp_path):
    with serving(f"ipc://{tmp_path}/engine"):
        assert stat.S_IMODE((tmp_path / "engine").stat().st_mode) & 0o077 == 0


def test_a_second_server_leaves_the_first_alone(tmp_path):
    bind = f"ipc://{tmp_path}/engine"
    with serving(bind):
        with pytest.raises(SinkError, match="another server"), serving(bind):
            pass
        assert (tmp_path / "engine").is_socket()
    with serving(bind):
        pass


def test_a_second_server_on_a_port_is_refused():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        bind = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(SinkError, match="cannot be bound"), serving(bind):
            pass


def test_a_file_that_is_no_socket_stays(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(SinkError, match="no socket"), serving(f"ipc://{tmp_path}/notes.txt"):
        pass
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_socket_that_a_killed_server_left_is_taken_over(tmp_path):
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "engine"))
    assert os.path.lexists(tmp_path / "engine")
    with serving(f"ipc://{tmp_path}/engine"):
        pass


def test_the_command_ends_on_a_signal_and_leaves_no_socket(tmp_path):
    server = ServerProcess(f"ipc://{tmp_path}/engine", tmp_path / "server.log")
    server.start()
    try:
        assert (tmp_path / "engine").is_socket()
        server.process.terminate()
        assert server.process.wait(120) == 0
        assert not os.path.lexists(tmp_path / "engine")
    finally:
        server.kill()


def test_the_command_without_anything_to_do_says_what_to_give(capsys):
    assert main(["serve"]) == 2
    assert "--bind ENDPOINT" in capsys.readouterr().err
