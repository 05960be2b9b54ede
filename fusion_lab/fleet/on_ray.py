"""Units on a Ray cluster; Ray schedules them, and repeats those whose worker or node is lost."""

from __future__ import annotations

import logging
import os
from collections.abc import Generator, Sequence
from typing import Any, Final

from fusion_core.errors import FusionError, UsageError, missing_extra
from fusion_core.runtime.closable import Closable
from fusion_lab.fleet.unit import Unit, UnitRecord

_CONNECTIONS: Final = 3
_RETRIES: Final = 5  # of a unit whose worker or node is lost


class RayWorkers(Closable):
    """Runs units on a Ray cluster, whose machines have this project installed.

    Args:
        address: ``ray://HOST:PORT``, or what else ``ray.init`` takes.
        jobs: Most units at a time; None: as many as the cluster has cores for.
        threads: Cores that a unit takes.
        gpus: Share of a GPU that a unit takes; None: one where the cluster has any.
        on_cpu: The network runs on the CPU, whatever there is.

    Raises:
        MissingExtraError: Ray is not installed.
        UsageError: A share of a GPU is asked for and the cluster has none.
        FusionError: The cluster does not answer.
    """

    def __init__(
        self, address: str, jobs: int | None, threads: int, gpus: float | None, *, on_cpu: bool
    ) -> None:
        self._ray = _connected(address)
        self._jobs = jobs
        try:
            there = float(self._ray.cluster_resources().get("GPU", 0))
            if gpus and not there:
                raise UsageError(f"--gpus {gpus}: the cluster {address} has no GPU; leave it out")
            share = gpus if gpus is not None else float(there > 0 and not on_cpu)
            self._options = {
                "num_cpus": threads,
                "num_gpus": share,
                "max_retries": _RETRIES,
                "scheduling_strategy": "SPREAD",
            }
        except BaseException:
            self.close()
            raise

    def run(self, units: Sequence[Unit]) -> Generator[UnitRecord, None, None]:
        """Yield the record of each unit as it ends.

        Raises:
            FusionError: The connection to the cluster is lost.
        """
        waiting = list(units)[::-1]
        running: dict[Any, Unit] = {}
        most = self._jobs or len(waiting)
        try:
            while waiting or running:
                while waiting and len(running) < most:
                    unit = waiting.pop()
                    running[self._submit(unit)] = unit
                ended, _ = self._ray.wait(list(running), num_returns=1)
                for reference in ended:
                    yield self._record(reference, running.pop(reference))
        except (ConnectionError, RuntimeError, self._ray.exceptions.RayError) as error:
            running.clear()  # nobody is there to take them back
            raise FusionError(
                f"the connection to the cluster is lost ({_line(error)}); the same command goes on "
                "from where it stopped"
            ) from error
        finally:
            for reference in running:
                self._ray.cancel(reference, force=True)

    def close(self) -> None:
        """Leave the cluster."""
        self._ray.shutdown()

    def _submit(self, unit: Unit) -> Any:  # noqa: ANN401 - a reference to the result
        task = self._ray.remote(_run).options(**self._options, name=unit.recording.name)
        return task.remote(unit.to_json())

    def _record(self, reference: Any, unit: Unit) -> UnitRecord:  # noqa: ANN401
        try:
            return UnitRecord.from_json(self._ray.get(reference))
        except self._ray.exceptions.RayError as error:
            return UnitRecord.failed(unit, f"its worker was lost: {_line(error)}")


def _connected(address: str) -> Any:  # noqa: ANN401 - the module
    # Without a connection Ray would look for any other cluster, for as long as it takes.
    os.environ["RAY_ENABLE_AUTO_CONNECT"] = "0"
    try:
        import ray
    except ImportError:
        raise missing_extra(f"--cluster {address}", "ray", "ray") from None
    for attempt in range(_CONNECTIONS):
        try:
            ray.init(
                address=address,
                log_to_driver=False,
                configure_logging=False,
                logging_level=logging.ERROR,
            )
            break
        except (ConnectionError, RuntimeError, ValueError, AssertionError) as error:
            # A busy head may not start its side of the connection in time.
            if attempt + 1 == _CONNECTIONS or not isinstance(error, ConnectionAbortedError):
                raise FusionError(
                    f"--cluster {address}: no connection ({_line(error)}); is it started, with the "
                    "same versions of Python and Ray?"
                ) from error
    return ray


def _run(unit: str) -> str:
    """Do a unit on whatever machine this is."""
    from fusion_core.runtime.process import tune_process
    from fusion_lab.fleet.work import run_unit

    tune_process()
    return run_unit(Unit.from_json(unit)).to_json()


def _line(error: BaseException) -> str:
    """Return what an error says, in one line; of a traceback that is the last one."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    return lines[-1] if any(line.startswith("Traceback") for line in lines) else lines[0]
