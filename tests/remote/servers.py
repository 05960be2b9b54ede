"""Real servers on real sockets: in this process, and as `fusion serve`."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import torch

from fusion_core.config import Config
from fusion_core.serving import Server
from fusion_core.serving.networks import Networks

LIMIT_S = 120
BLOCK = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")

sys.meta_path.insert(0, Absent())
"""


@contextmanager
def serving(bind, keys=None, **names):
    """A server in a thread of this process."""
    networks = Networks(torch.device("cpu"), **names)
    stop = threading.Event()
    with Server(str(bind), Config(device="cpu"), networks, keys) as server:
        thread = threading.Thread(target=server.serve, args=(stop,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            stop.set()
            thread.join()


class ServerProcess:
    """`fusion serve` in a process of its own, to be killed and started again."""

    def __init__(self, bind, log):
        self.bind, self.log = bind, log
        self.process = None

    def start(self):
        command = [sys.executable, "-m", "fusion_core.cli.main", "serve", "--bind", self.bind]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, env={**os.environ, "OMP_NUM_THREADS": "1"}
            )
        wait_for(lambda: "listening" in self.log.read_text() or self.process.poll() is not None)
        assert self.process.poll() is None, self.log.read_text()

    def kill(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None


def wait_for(condition):
    """Wait until a condition holds."""
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


def path_without_torch(folder):
    """Return a PYTHONPATH with which importing torch fails in a new process."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(BLOCK)
    return os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
