"""The process that does one unit on this machine: ``python -m fusion_lab.fleet.worker``.

The unit comes as one line on standard input, its record goes as one line to standard output. When
standard input ends before, the program that asked for the work is gone and the process ends.
"""

from __future__ import annotations

import os
import sys
import threading


def main() -> None:
    """Do one unit."""
    line = sys.stdin.readline()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from fusion_core.runtime.process import tune_process

    tune_process()
    from fusion_lab.fleet.unit import Unit
    from fusion_lab.fleet.work import run_unit

    record = run_unit(Unit.from_json(line))
    sys.stdout.write(record.to_json() + "\n")
    sys.stdout.flush()
    # The results are in place: nothing that a library does at its end is waited for.
    os._exit(0)


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    main()
