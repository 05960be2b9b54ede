"""Units on this machine, each in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Final

from fusion_core.runtime.closable import Closable
from fusion_lab.fleet.scratch import remove_stale
from fusion_lab.fleet.unit import Unit, UnitRecord

_ATTEMPTS: Final = 2  # of a unit whose process is killed


class LocalWorkers(Closable):
    """Runs units on this machine, some at a time.

    Each unit has a process of its own: one that is killed, or ends in the code of a decoder, takes
    no other with it.

    Args:
        jobs: Units at a time, at least 1.
        threads: Threads of each process, at least 1.
    """

    def __init__(self, jobs: int, threads: int) -> None:
        self._pool = ThreadPoolExecutor(jobs, thread_name_prefix="unit")
        self._environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self._closed = False

    def run(self, units: Sequence[Unit]) -> Generator[UnitRecord, None, None]:
        """Yield the record of each unit as it ends."""
        for future in as_completed([self._pool.submit(self._attempt, unit) for unit in units]):
            yield future.result()

    def close(self) -> None:
        """End what still runs."""
        with self._lock:
            self._closed = True
            for process in self._running:
                process.kill()
        self._pool.shutdown(cancel_futures=True)
        remove_stale()

    def _attempt(self, unit: Unit) -> UnitRecord:
        """Do a unit; a process that is killed is begun anew, as often as is sensible."""
        for _ in range(_ATTEMPTS):
            code, answer, complaint = self._in_process(unit)
            if answer:
                return UnitRecord.from_json(answer)
            if self._closed:
                break
        last = complaint.strip().splitlines()[-1:] or [""]
        return UnitRecord.failed(unit, f"{_ending(code)} {last[0]}".strip())

    def _in_process(self, unit: Unit) -> tuple[int, str, str]:
        """Return the exit code of a worker, its answer, and what it complained of."""
        with self._lock:
            if self._closed:
                return 1, "", ""
            process = subprocess.Popen(
                [sys.executable, "-m", "fusion_lab.fleet.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=self._environment,
                start_new_session=True,  # Ctrl-C is for the program that started it
            )
            self._running.add(process)
        try:
            return _converse(process, unit)
        finally:
            with self._lock:
                self._running.discard(process)
            process.kill()
            process.wait()


def _converse(process: subprocess.Popen[str], unit: Unit) -> tuple[int, str, str]:
    """Hand a worker its unit and return its exit code, its answer and its complaints."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    complaints: list[str] = []
    errors = process.stderr
    listener = threading.Thread(target=lambda: complaints.append(errors.read()), daemon=True)
    listener.start()
    with process.stdin, process.stdout, errors:
        try:
            process.stdin.write(unit.to_json() + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended already; the exit code says how
        answer = process.stdout.read()
        code = process.wait()
        listener.join()
    return code, answer.strip(), "".join(complaints)


def _ending(code: int) -> str:
    """Return in words how a process ended."""
    if code >= 0:
        return f"its process ended with exit code {code}:"
    name = signal.Signals(-code).name
    hint = "; is there enough memory? try fewer --jobs" if name == "SIGKILL" else ""
    return f"its process was ended by {name}{hint}"
