"""A Ray cluster on this machine whose workers and nodes can be killed at work."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from fusion_core.errors import FusionError
from fusion_core.runtime.closable import Closable
from fusion_lab.benches.fleet.processes import descendants, kill, kill_descendants
from fusion_lab.fleet.results import present_records
from fusion_lab.fleet.unit import UnitRecord

_PAUSE_S: Final = 0.02
_PATIENCE_S: Final = 200.0
_END_S: Final = 30.0
_ENVIRONMENT: Final = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_CLIENT_SERVER_CHECK_CHANNEL_TIMEOUT_S": "60",  # on a machine with other work as well
}


@dataclass(frozen=True, slots=True)
class Loss:
    """What was taken from the cluster.

    Attributes:
        what: ``worker`` or ``node``.
        unit: The recording that it was at.
        pid: The worker's process.
    """

    what: str
    unit: str
    pid: int


class LocalCluster(Closable):
    """Nodes of one core each, as processes of this machine.

    Args:
        nodes: How many, beside the head node, which does no work.

    Attributes:
        address: What ``--cluster`` takes.

    Raises:
        FusionError: The cluster does not start.
    """

    def __init__(self, nodes: int) -> None:
        # Ray keeps sockets in it, whose paths may not be long.
        self._killed: set[int] = set()
        self._folder = tempfile.mkdtemp(prefix="ray", dir="/tmp")
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - it is closed with the cluster
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "fusion_lab.benches.fleet.nodes", str(nodes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
            # Else Ray notes the cluster in a folder that all users share, and may not be there.
            env={**os.environ, **_ENVIRONMENT, "RAY_TMPDIR": self._folder},
            start_new_session=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        while line and not line.startswith("{"):
            line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._said.seek(0)
            reason = (self._said.read().splitlines() or ["they ended"])[-1]
            self.close()
            raise FusionError(f"Ray's nodes do not start: {reason}; try: ray start --head")
        told = json.loads(line)
        self.address: str = told["address"]
        self._direct: str = told["direct"]
        self._raylets: list[int] = told["raylets"]

    def lose_worker(self, out: str, batch: subprocess.Popen[str]) -> Loss:
        """Kill a worker in the middle of a unit.

        Args:
            out: Folder of the fleet.
            batch: The command that is at it.

        Raises:
            FusionError: The command ends, or no unit is at work within some minutes.
        """
        _, record = self._at_work(out, batch)
        kill({record.pid})
        return Loss("worker", record.name, record.pid)

    def lose_node(self, out: str, batch: subprocess.Popen[str]) -> Loss:
        """Kill a node, with all its processes, while its worker is in the middle of a unit.

        Args and errors as of ``lose_worker``.
        """
        raylet, record = self._at_work(out, batch)
        kill({raylet, *descendants(raylet)})
        return Loss("node", record.name, record.pid)

    def object_store(self) -> str:
        """Return what Ray says of the use of its object store, in one line."""
        tool = [sys.executable, "-m", "ray.scripts.scripts", "memory", "--stats-only"]
        said = subprocess.run(  # noqa: S603
            [*tool, "--address", self._direct], capture_output=True, text=True, check=False
        )
        lines = said.stdout.splitlines()
        return next((line for line in lines if line.startswith("Plasma")), "not known")

    def close(self) -> None:
        """End all nodes; nothing of them is left."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            kill_descendants(self._process.pid)
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._said.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _at_work(self, out: str, batch: subprocess.Popen[str]) -> tuple[int, UnitRecord]:
        """Return a node and the unit that it has begun, its worker stopped before the end."""
        end = time.monotonic() + _PATIENCE_S
        while time.monotonic() < end and batch.poll() is None:
            for raylet in self._raylets:
                # One that was just killed may be listed for a while.
                found = _stopped(out, descendants(raylet) - self._killed)
                if found is not None:
                    self._killed.add(found.pid)
                    return raylet, found
            time.sleep(_PAUSE_S)
        ended = "is at no unit" if batch.poll() is None else f"ended with {batch.returncode}"
        raise FusionError(f"nothing to take away: fusion batch {ended}")


def _stopped(out: str, workers: set[int]) -> UnitRecord | None:
    """Stop a worker that is at a unit, and return that unit if it is not at its end yet."""
    for name, record in present_records(out).items():
        if record.state != "running" or record.pid not in workers:
            continue
        with suppress(ProcessLookupError):
            os.kill(record.pid, signal.SIGSTOP)
            still = present_records(out)[name]
            if (still.state, still.pid) == ("running", record.pid):
                return still
            os.kill(record.pid, signal.SIGCONT)
    return None
