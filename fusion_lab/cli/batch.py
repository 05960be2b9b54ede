"""``fusion batch``: many recordings through the same pipeline."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import tyro

from fusion_core.cli.run import Run
from fusion_core.cli.stop_signal import quiet_abort
from fusion_core.errors import FusionError, UsageError, missing_extra

if TYPE_CHECKING:
    from fusion_lab.fleet.batch import FleetResult, Workers
    from fusion_lab.fleet.unit import Unit


_MOST_JOBS: Final = 8  # each takes 1 GB of memory


@dataclass(frozen=True)
class Batch(Run):
    """Fuse many recordings, on this machine or on a Ray cluster.

    Each recording is fused as `fusion run` does it, into a folder of its own below --out: the
    outputs of --keep, run.json and its tables. frames.parquet, detections.parquet, fleet.html and
    fleet.json show all of them. The same command goes on where it was stopped: recordings whose
    inputs, settings and version are unchanged are not done again. A recording that fails does so
    alone, and the exit code is 1.

    Inputs and --out may be addresses that fsspec opens, such as s3://BUCKET/FOLDER.
    """

    inputs: Annotated[
        tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="BAG|DIR|GLOB|TABLE.csv")
    ] = ()
    """Bags, folders that hold bags, patterns of them, synthetic://SCENE, or tables with the columns
    bag, or visible and thermal; and where wanted name, visible_topic, thermal_topic, calibration
    and mask."""
    folder: Annotated[str, tyro.conf.arg(name="out", metavar="DIR")] = ""
    """Folder for everything that is written."""
    keep: Annotated[tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="DST")] = ()
    """What to keep of each recording, a DST of `fusion run` named from its folder; may be given
    several times. Default: fused.mp4."""
    cluster: Annotated[str | None, tyro.conf.arg(metavar="ray://HOST:PORT")] = None
    """Ray cluster that does the work; its machines need this project and access to the paths."""
    jobs: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Recordings at a time; default: one for each core, on one machine at most 8."""
    gpus: Annotated[float | None, tyro.conf.arg(metavar="SHARE")] = None
    """Share of a GPU of the cluster that a recording takes, such as 0.25; default: a whole one
    where there are any."""

    # Each recording has inputs and outputs of its own.
    out: Annotated[tuple[str, ...], tyro.conf.Suppress] = ()
    visible: Annotated[str | None, tyro.conf.Suppress] = None
    thermal: Annotated[str | None, tyro.conf.Suppress] = None
    bag: Annotated[str | None, tyro.conf.Suppress] = None
    report: Annotated[Path | None, tyro.conf.Suppress] = None
    view: Annotated[bool, tyro.conf.Suppress] = False

    def run(self) -> int:
        """Fuse what is not done yet, sum up, and return the exit code."""
        self._check_batch()
        with quiet_abort():
            _require_packages()
            from fusion_lab.fleet.batch import run_fleet
            from fusion_lab.fleet.plan import make_plan
            from fusion_lab.fleet.recordings import find_recordings

            common = self._common()
            plan = make_plan(find_recordings(self.inputs), common)
            workers = self._workers()
        return _summed_up(run_fleet(plan, workers, common.out), self.folder)

    def _check_batch(self) -> None:
        if not self.inputs:
            raise UsageError("no input: give bags, folders of bags, patterns or a table *.csv")
        if not self.folder:
            raise UsageError("nothing to write to: give --out DIR")
        for option, value in (("--jobs", self.jobs), ("--max-frames", self.max_frames)):
            if value is not None and value < 1:
                raise UsageError(f"{option} {value}: must be at least 1")
        if self.gpus is not None and not self.cluster:
            raise UsageError("--gpus: counts on a cluster only; add --cluster or leave it out")
        if self.gpus is not None and self.gpus < 0:
            raise UsageError(f"--gpus {self.gpus:g}: must not be negative")

    def _common(self) -> Unit:
        """Return what the units of all recordings share."""
        from fusion_lab.fleet.places import absolute
        from fusion_lab.fleet.plan import check_kept, plain_config
        from fusion_lab.fleet.recordings import Recording
        from fusion_lab.fleet.unit import Unit

        keep = self.keep or ("fused.mp4",)
        check_kept(keep)
        return Unit(
            recording=Recording(),
            topics=(self.visible_topic or "", self.thermal_topic or ""),
            config=plain_config(self.configuration(), self._threads()),
            overlay=self.overlay,
            max_frames=self.max_frames,
            keep=keep,
            out=absolute(self.folder),
        )

    def _jobs_here(self) -> int:
        """Return how many recordings this machine does at a time."""
        return self.jobs or min(_cores(), _MOST_JOBS)

    def _threads(self) -> int:
        """Return the threads of each recording where the settings do not say."""
        return 1 if self.cluster else max(1, _cores() // self._jobs_here())

    def _workers(self) -> Workers:
        config = self.configuration()
        threads = config.threads or self._threads()
        if self.cluster:
            from fusion_lab.fleet.on_ray import RayWorkers

            on_cpu = config.device == "cpu"
            return RayWorkers(self.cluster, self.jobs, threads, self.gpus, on_cpu=on_cpu)
        from fusion_lab.fleet.local import LocalWorkers

        return LocalWorkers(self._jobs_here(), threads)


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _require_packages() -> None:
    """Raise when a package that the tables or the page need is missing."""
    from importlib.util import find_spec

    names = ("pyarrow", "fsspec", "jinja2", "matplotlib")
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        raise missing_extra("fusion batch", " and ".join(missing), "batch")


def _summed_up(result: FleetResult, folder: str) -> int:
    """Print what became of the fleet, and return the exit code where all is well.

    Raises:
        FusionError: Recordings failed, or were not reached.
    """
    failed = result.failed
    done = len(result.records) - len(failed)
    print(f"done     {done} of {result.planned} recordings, {result.skipped} of them before")
    for record in failed:
        print(f"failed   {record.name}: {record.reason}")
    print(f"took     {result.seconds:.1f} s")
    print(f"written  {folder}: fleet.html, frames.parquet, detections.parquet, fleet.json")
    if result.stopped:
        raise FusionError(
            f"stopped: {done} of {result.planned} recordings are done; the same command goes on"
        )
    if failed:
        first = f"{failed[0].name}: {failed[0].reason}"
        raise FusionError(f"{len(failed)} of {result.planned} recordings failed, first {first}")
    return 0
