"""Comparison of pictures in a process of its own, whose load the frame path hardly feels.

The process is started as a bare interpreter: ``multiprocessing`` would import the program's main
module once more, which costs memory, and fails where that is no file or starts anew when imported.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
import traceback
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Final

import cv2
import numpy as np

from fusion_core.registration.comparison import Comparison, Finding, Task
from fusion_core.registration.parametric import Scene
from fusion_core.registration.pyramid import reduced_size
from fusion_core.registration.settings import RegistrationConfig

_log = logging.getLogger(__name__)
_ANSWER_S = 60.0  # without an answer a process is given up
_RESTART_S = 60.0  # from one start to the next at least
_NICE = 5  # on a core that others want as well it gets a third of what each of them gets
_BEGIN: Final = f"""import os, sys; os.nice({_NICE}); sys.path[:] = sys.argv[3:]
from fusion_core.registration.worker import main; main()"""


class Worker:
    """Hands one pair at a time to a process and takes its findings.

    Pictures go through memory that both share, everything else through a pipe; no call waits. A
    process that ends or hangs is replaced, once a minute at most; ``failed`` until the new one has
    answered. Not safe for use from several threads at once.
    """

    def __init__(self, config: RegistrationConfig) -> None:
        self._config = config
        # freed by the system with its last user, however that ends
        self._memory = os.fdopen(os.memfd_create("registration"), "r+b", buffering=0)
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None
        self._put_s: float | None = None
        self.failed = False
        self._start()

    def ready(self) -> bool:
        """Return whether a pair can be taken; a process that was lost is started anew in time."""
        if self._pipe is None and time.monotonic() - self._start_s >= _RESTART_S:
            self._start()
        return self._pipe is not None and self._put_s is None

    def put(self, scene: Scene, task: Task) -> None:
        """Hand a pair over; only when ready."""
        assert self._pipe is not None
        try:
            os.pwritev(self._memory.fileno(), _parts(scene), 0)
            self._pipe.send(task)
            self._put_s = time.monotonic()
        except OSError as error:
            self._lose(str(error))

    def get(self) -> Finding | None:
        """Return what was found in the pair put last, None while it is not known."""
        if self._pipe is None or self._put_s is None:
            return None
        try:
            answer = self._pipe.recv() if self._pipe.poll() else None
        except (EOFError, OSError):
            self._lose("it has ended")
            return None
        if answer is None:
            if time.monotonic() - self._put_s > _ANSWER_S:
                self._lose(f"no answer for {_ANSWER_S:g} s")
            return None
        self._put_s, self.failed = None, False
        if isinstance(answer, Finding):
            return answer
        _log.error("the registration could not be refined on a pair: %s", answer)
        return None

    def close(self) -> None:
        """End the process; it holds nothing worth waiting for."""
        self._end()
        self._memory.close()

    def _start(self) -> None:
        """Start a process, which takes about a second before it answers."""
        self._start_s = time.monotonic()
        self._pipe, its_end = Pipe()
        given = its_end.fileno(), self._memory.fileno()
        try:
            self._process = subprocess.Popen(  # noqa: S603 - this interpreter
                [sys.executable, "-c", _BEGIN, *map(str, given), *sys.path],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
                pass_fds=given,
                start_new_session=True,  # Ctrl-C is for the parent
            )
            self._pipe.send(self._config)
        except OSError as error:
            self._lose(str(error))
        finally:
            its_end.close()

    def _lose(self, reason: str) -> None:
        """Do without the process until it may be started anew."""
        self._end()
        self.failed = True
        kept = f"the last correction stays, a new one starts within {_RESTART_S:g} s"
        _log.error("registration: the process that measures is lost (%s); %s", reason, kept)

    def _end(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._pipe, self._process, self._put_s = None, None, None


def main() -> None:
    """Answer tasks until the other end of the pipe is closed, as it is by the parent's death."""
    cv2.setNumThreads(1)
    memory = int(sys.argv[2])
    with Connection(int(sys.argv[1])) as pipe, suppress(EOFError, OSError):
        comparison = Comparison(pipe.recv())
        while True:
            pipe.send(_answer(comparison, memory, pipe.recv()))


def _answer(comparison: Comparison, memory: int, task: Task) -> Finding | str:
    """Return the finding, or what went wrong."""
    width, height = reduced_size(task.size, task.factor)
    gray = np.empty((2, height, width), np.float32)
    scene = Scene(gray[0], gray[1], np.empty((height, width), np.bool_))
    os.preadv(memory, _parts(scene), 0)
    try:
        return comparison.measure(scene, task)
    except Exception:  # noqa: BLE001 - the next pair may be a better one
        return traceback.format_exc()


def _parts(scene: Scene) -> list[memoryview]:
    """Return the bytes of a scene's pictures."""
    return [scene.visible.data, scene.thermal.data, scene.valid.data]
