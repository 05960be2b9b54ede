"""Disks without room."""

import os
from contextlib import suppress


def fill(disk):
    """Write the file `filler` until no block is free."""
    with (disk / "filler").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    assert os.statvfs(disk).f_bavail == 0
