"""The node with its networks on a server, in a Python that has no torch."""

import itertools

import pytest
from robot import repeat_until, wait_for
from servers import ServerProcess, path_without_torch


@pytest.fixture
def server(tmp_path):
    process = ServerProcess(f"ipc://{tmp_path}/engine", tmp_path / "server.log")
    yield process
    process.kill()


def test_a_node_without_torch_fuses_and_outlives_its_server(start, server, tmp_path, monkeypatch):
    server.start()
    with monkeypatch.context() as patch:
        patch.setenv("PYTHONPATH", path_without_torch(tmp_path / "site"))
        node = start(**{"engine.endpoint": server.bind, "detector": "none"})
    images = node.connect()
    node.fuse_pair(images, 0, 1)
    wait_for(
        lambda: (found := node.diagnostics("model")) and found[2]["engine state"] == "open",
        "a session",
    )

    def model_says(words):
        found = node.diagnostics("model")
        return found is not None and words in found[1]

    numbers = itertools.count(1)

    def fuse_next():
        number = next(numbers)
        node.fuse_pair(images, 100 * number, number)

    server.kill()
    repeat_until(
        fuse_next,
        lambda: model_says("no server answers; start one there with `fusion serve"),
        "a word on the server's absence",
    )
    server.start()
    repeat_until(
        fuse_next,
        lambda: model_says("m2pn-edge on cpu"),
        "the server's return",
    )
    images.close()
