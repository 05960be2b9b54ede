"""Keep freed memory in the process, for networks that allocate the same maps every frame."""

from __future__ import annotations

import ctypes
import platform

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of <malloc.h>
_KEEP_BYTES = 1 << 30


def keep_freed_memory() -> None:
    """Tell glibc not to hand large blocks back to the system after every use.

    By default each feature map of a frame is mapped and unmapped anew, and every page of it
    faults again. Does nothing where the C library is another one.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(_MMAP_THRESHOLD, _KEEP_BYTES)
    libc.mallopt(_TRIM_THRESHOLD, _KEEP_BYTES)
