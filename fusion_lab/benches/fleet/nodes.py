"""Several Ray nodes on this machine: ``python -m fusion_lab.benches.fleet.nodes COUNT``.

Prints one line of JSON and ends all nodes when standard input ends: ``address`` for ``--cluster``,
``direct`` for Ray's own tools, ``raylets`` with one process id per node. Standard error says why
they do not start. The head node has no cores, so that all work is done by the others.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import sys
import traceback
from contextlib import suppress
from typing import Any, Final

from fusion_lab.benches.fleet.processes import kill_descendants

_STORE_BYTES: Final = 80 * 2**20  # the least that Ray accepts is 75 MiB
_CHILD_SUBREAPER: Final = 36  # PR_SET_CHILD_SUBREAPER of <sys/prctl.h>
# A node is given up after some 5 s, in place of 15.
_HEALTH: Final = {"health_check_period_ms": 1000, "health_check_initial_delay_ms": 0}


def main() -> None:
    """Run the nodes until standard input ends."""
    count = int(sys.argv[1])
    # Whatever loses its parent stays below this process, which ends it at last.
    ctypes.CDLL(None).prctl(_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        _serve(count)
    except Exception:  # noqa: BLE001 - whatever Ray raises, this process ends as below
        traceback.print_exc()
    finally:
        kill_descendants(os.getpid())
        with suppress(ChildProcessError):
            while True:  # none of them stays in the system's list
                os.waitpid(-1, 0)
        os._exit(0)


def _serve(count: int) -> None:
    from ray.cluster_utils import Cluster

    port = _free_port()
    node: dict[str, Any] = {"object_store_memory": _STORE_BYTES}
    head = {
        **node,
        "num_cpus": 0,
        "include_dashboard": False,
        "ray_client_server_port": port,
        "_system_config": _HEALTH,
    }
    cluster = Cluster(initialize_head=True, head_node_args=head)
    nodes = [cluster.add_node(**node, num_cpus=1, wait=False) for _ in range(count)]
    cluster.wait_for_nodes(timeout=120)
    raylets = [each.all_processes["raylet"][0].process.pid for each in nodes]
    host = cluster.address.rpartition(":")[0]
    told = {"address": f"ray://{host}:{port}", "direct": cluster.address, "raylets": raylets}
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()
    sys.stdin.read()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("", 0))
        return int(found.getsockname()[1])


if __name__ == "__main__":
    main()
