"""Settings of the process and its threads; those of the whole one only a program makes."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import platform
import sys
import threading
from collections.abc import Callable
from typing import Final, NoReturn

# GNU OpenMP's threads spin when they wait for each other, by default for some 10 ms: on cores that
# cameras and other nodes share a frame then takes ten times as long. With more threads than cores
# (as soon as a second thread runs a network) it limits itself to this number; a process with one
# network would spin on and pay twice the CPU time for the same picture. This much still bridges
# the gap from one layer to the next.
_SPIN_COUNT: Final = "1000"
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of <malloc.h>
_KEEP_BYTES: Final = 1 << 30
_NICE: Final = 10


def tune_process() -> None:
    """Set up threads and memory of this process for networks that run every frame.

    To be called by a program's main function before torch is imported: OpenMP reads its settings
    when it is loaded. Sets ``GOMP_SPINCOUNT`` unless it is set already, and lets glibc keep freed
    memory.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", _SPIN_COUNT)
    _keep_freed_memory()


class BackgroundThread(threading.Thread):
    """A thread that keeps no process alive, and that a call may still block when it ends.

    Args:
        target: What it runs.
        name: Its name.
        args: Arguments of the target.
    """

    def __init__(
        self, target: Callable[..., object], name: str, args: tuple[object, ...] = ()
    ) -> None:
        super().__init__(target=target, name=name, args=args, daemon=True)


def end_process(code: int) -> NoReturn:
    """End a program whose work is done and whose outputs are complete.

    Where a background thread is still in a call (one that exceeded its limit), the process ends at
    once: the interpreter's own end would stop the thread inside C++, which aborts the process
    ("terminate called without an active exception").
    """
    if any(isinstance(thread, BackgroundThread) for thread in threading.enumerate()):
        logging.shutdown()
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def yield_to_others() -> None:
    """Lower the priority of the calling thread, where the system supports it."""
    with contextlib.suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)


def _keep_freed_memory() -> None:
    """Let glibc keep large freed blocks instead of returning them to the system after every use.

    By default each feature map of a frame is mapped and unmapped anew, and every page of it
    faults again. Does nothing where the C library is another one.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(_MMAP_THRESHOLD, _KEEP_BYTES)
    libc.mallopt(_TRIM_THRESHOLD, _KEEP_BYTES)
