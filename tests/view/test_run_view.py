"""`fusion run --view` as a user starts it."""

import itertools
import json
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import av
import numpy as np
import pytest
import zmq
from page_client import get, viewer
from test_browser import live, text_is

from fusion_core.cli.main import main
from fusion_core.transport.pubsub import Publisher
from fusion_core.transport.wire import WireImage

OPTIONS = ["--device", "cpu", "--detector", "none", "--prior", "none"]


@pytest.fixture(scope="module")
def cameras():
    """Publish two small streams, and return the arguments that name them."""
    with zmq.Context() as context:
        probes = [context.socket(zmq.PUB) for _ in range(2)]
        ports = [probe.bind_to_random_port("tcp://127.0.0.1") for probe in probes]
        for probe in probes:
            probe.close()
    urls = [f"zmq://127.0.0.1:{port}/camera" for port in ports]
    ended = threading.Event()

    def film():
        publishers = [Publisher(url) for url in urls]
        for index in itertools.count():
            if ended.wait(0.05):
                break
            stamp = time.time_ns()
            colour = np.full((96, 128, 3), index % 200, np.uint8)
            heat = np.full((96, 128), 100 + index % 50, np.uint8)
            publishers[0].send(WireImage(stamp, "visible", "rgb8", colour, index))
            publishers[1].send(WireImage(stamp, "thermal", "mono8", heat, index))
        for publisher in publishers:
            publisher.close()

    thread = threading.Thread(target=film, daemon=True)
    thread.start()
    yield ["--visible", urls[0], "--thermal", urls[1]]
    ended.set()
    thread.join(30)


@pytest.fixture
def run(tmp_path, cameras):
    """Start runs; they are killed after the test whatever happens."""
    processes = []

    def start(port=0):
        command = [
            sys.executable,
            "-m",
            "fusion_core.cli.main",
            "run",
            *cameras,
            *OPTIONS,
            "--view",
        ]
        processes.append(
            subprocess.Popen(
                [*command, "--set", f"view.port={port}"],
                cwd=tmp_path,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        line = processes[-1].stdout.readline()
        found = re.fullmatch(r"view     http://127\.0\.0\.1:(\d+)/\n", line)
        assert found, (line, processes[-1].kill(), processes[-1].stderr.read())
        return processes[-1], int(found[1])

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_a_run_for_the_page_alone_ends_with_its_recording_whole(run, tmp_path):
    process, port = run()
    assert get(port)[0] == 200
    with viewer(port) as client:
        client.picture()
        client.send(kind="record", on=True)
        state = client.status(lambda status: status["recording"]["frames"] >= 2)["recording"]
        process.send_signal(signal.SIGTERM)
        assert client.until(lambda message: message["kind"] == "end")
    out, err = process.communicate(timeout=120)
    assert "Traceback" not in err, err
    with av.open(str(tmp_path / state["file"])) as container:
        assert sum(1 for _ in container.decode(video=0)) >= 2
    assert Path(state["file"]).parent.name == "recordings"
    assert json.loads((tmp_path / "run.json").read_text())["fused"] >= 2
    assert "written  run.json" in out


def test_a_killed_run_is_said_and_the_next_one_is_shown(run, open_page):
    process, port = run()
    page = live(open_page(f"http://127.0.0.1:{port}/"))
    process.kill()
    text_is(page, "#notice", "Connection lost. Trying again by itself")
    run(port)
    live(page)
    text_is(page, "#link", "live")
    assert not page.locator("#notice").is_visible()


def test_a_missing_package_is_named_before_anything_is_loaded(monkeypatch, capsys):
    from importlib import util

    real = util.find_spec
    monkeypatch.setattr(
        util, "find_spec", lambda name, *rest: None if name == "uvicorn" else real(name, *rest)
    )
    assert main(["run", "--bag", "synthetic://street", "--view"]) == 1
    assert "--view needs uvicorn" in capsys.readouterr().err
