"""Estimation in a child process of low priority, so that it hardly slows the frame path.

The child is started as a bare interpreter: ``multiprocessing`` would import the program's main
module again, which costs memory and fails where that module is no file or has side effects.
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

from fusion_core.registration.misalignment import (
    EstimationTask,
    MisalignmentEstimate,
    MisalignmentEstimator,
)
from fusion_core.registration.pyramid import reduced_size
from fusion_core.registration.scene_pyramid import ScenePyramid
from fusion_core.registration.settings import RegistrationConfig

_log = logging.getLogger(__name__)
_TIMEOUT_S = 60.0  # without an answer the process is killed
_RESTART_S = 60.0  # least time from one start to the next
_NICE = 5  # a third of the share of a normal process on a contended core
_BOOTSTRAP: Final = f"""import os, sys; os.nice({_NICE}); sys.path[:] = sys.argv[3:]
from fusion_core.registration.process_backend import main; main()"""


class ProcessBackend:
    """Submits one pair at a time to a child process and polls its estimates.

    Images pass through shared memory, everything else through a pipe; no call waits. A child that
    ends or does not answer is replaced, once a minute at most; ``failed`` holds until the new one
    has answered. Not safe for use from several threads at once.
    """

    def __init__(self, config: RegistrationConfig) -> None:
        self._config = config
        # The system frees it with its last user, however that process ends.
        self._memory = os.fdopen(os.memfd_create("registration"), "r+b", buffering=0)
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None
        self._submitted_s: float | None = None
        self.failed = False
        self._start_process()

    def is_idle(self) -> bool:
        """Return whether a pair can be submitted; restart a lost child when it is time."""
        if self._pipe is None and time.monotonic() - self._started_s >= _RESTART_S:
            self._start_process()
        return self._pipe is not None and self._submitted_s is None

    def submit_scene(self, scene: ScenePyramid, task: EstimationTask) -> None:
        """Send a pair to the child; only while idle."""
        assert self._pipe is not None
        try:
            os.pwritev(self._memory.fileno(), _buffers(scene), 0)
            self._pipe.send(task)
            self._submitted_s = time.monotonic()
        except OSError as error:
            self._report_lost(str(error))

    def poll_estimate(self) -> MisalignmentEstimate | None:
        """Return the estimate of the last pair, None while it is not ready."""
        if self._pipe is None or self._submitted_s is None:
            return None
        try:
            answer = self._pipe.recv() if self._pipe.poll() else None
        except (EOFError, OSError):
            self._report_lost("it has ended")
            return None
        if answer is None:
            if time.monotonic() - self._submitted_s > _TIMEOUT_S:
                self._report_lost(f"no answer for {_TIMEOUT_S:g} s")
            return None
        self._submitted_s, self.failed = None, False
        if isinstance(answer, MisalignmentEstimate):
            return answer
        _log.error("registration: refinement failed on a pair: %s", answer)
        return None

    def close(self) -> None:
        """Kill the child; it holds no state worth saving."""
        self._kill_process()
        self._memory.close()

    def _start_process(self) -> None:
        """Start a child, which takes about a second before it answers."""
        self._started_s = time.monotonic()
        self._pipe, child_end = Pipe()
        handles = child_end.fileno(), self._memory.fileno()
        try:
            self._process = subprocess.Popen(  # noqa: S603 - this interpreter
                [sys.executable, "-c", _BOOTSTRAP, *map(str, handles), *sys.path],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
                pass_fds=handles,
                start_new_session=True,  # Ctrl-C is for the parent
            )
            self._pipe.send(self._config)
        except OSError as error:
            self._report_lost(str(error))
        finally:
            child_end.close()

    def _report_lost(self, reason: str) -> None:
        """Kill the child and log the reason; ``is_idle`` restarts it later."""
        self._kill_process()
        self.failed = True
        _log.error(
            "registration: the estimation process is lost (%s); the last correction stays in use, "
            "a new process starts within %g s",
            reason,
            _RESTART_S,
        )

    def _kill_process(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._pipe, self._process, self._submitted_s = None, None, None


def main() -> None:
    """Answer tasks until the other end of the pipe is closed, as it is by the parent's death."""
    cv2.setNumThreads(1)
    memory = int(sys.argv[2])
    with Connection(int(sys.argv[1])) as pipe, suppress(EOFError, OSError):
        estimator = MisalignmentEstimator(pipe.recv())
        while True:
            pipe.send(_answer(estimator, memory, pipe.recv()))


def _answer(
    estimator: MisalignmentEstimator, memory: int, task: EstimationTask
) -> MisalignmentEstimate | str:
    """Return the estimate, or the traceback of the error."""
    width, height = reduced_size(task.size, task.factor)
    gray = np.empty((2, height, width), np.float32)
    scene = ScenePyramid(gray[0], gray[1], np.empty((height, width), np.bool_))
    os.preadv(memory, _buffers(scene), 0)
    try:
        return estimator.estimate_misalignment(scene, task)
    except Exception:  # noqa: BLE001 - the next pair may be a better one
        return traceback.format_exc()


def _buffers(scene: ScenePyramid) -> list[memoryview]:
    """Return the bytes of a scene's images."""
    return [scene.visible.data, scene.thermal.data, scene.valid.data]
