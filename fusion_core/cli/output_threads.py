"""The outputs of a run, each written in a thread of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final

from fusion_core.runtime.meters import LatencyMeter
from fusion_core.runtime.worker import OrderedWorker
from fusion_core.sink import Sink
from fusion_core.types import FusedFrame

if TYPE_CHECKING:
    from fusion_core.pipeline import PipelineStatus
    from fusion_core.sink.report import HtmlReport

_MEMORY_SAMPLE_FRAMES: Final = 30
_Sampled = tuple[FusedFrame, Mapping[str, Any] | None]


class OutputThreads:
    """Writes results beside the fusion of the next ones; every output gets all of them, in order.

    Attributes:
        latency: Meter of what writing takes, by kind of output.
    """

    def __init__(self) -> None:
        self.latency = LatencyMeter()
        self._sinks: list[OrderedWorker[FusedFrame]] = []
        self._report: OrderedWorker[_Sampled] | None = None

    def start(self, names: Sequence[str], sinks: Sequence[Sink], report: HtmlReport | None) -> None:
        """Start the threads.

        Args:
            names: Kinds of the first sinks.
            sinks: Where results go.
            report: The page that shows the run, None without one.
        """
        for name, sink in zip_longest(names, sinks, fillvalue="other"):
            assert isinstance(sink, Sink), "there are no more names than sinks"
            self._sinks.append(OrderedWorker(f"sink {name}", self._timed(str(name), sink)))
        if report is not None:
            self._report = OrderedWorker("report", _sampling(report))

    def write(self, fused: FusedFrame, status: Callable[[], PipelineStatus]) -> None:
        """Hand a result to every output.

        Args:
            fused: The result.
            status: Returns the state of the pipeline.

        Raises:
            SinkError: An output could not write an earlier result.
        """
        for sink in self._sinks:
            sink.put(fused)
        if self._report is not None:
            sampled = fused.frame % _MEMORY_SAMPLE_FRAMES == 0
            self._report.put((fused, status().memory if sampled else None))

    def close(self) -> list[Exception]:
        """Wait until everything is written; return the errors that were not raised before."""
        workers: list[OrderedWorker[FusedFrame] | OrderedWorker[_Sampled]] = [*self._sinks]
        if self._report is not None:
            workers.append(self._report)
        for worker in workers:
            worker.close()
        errors = (worker.take_error() for worker in workers)
        return [error for error in errors if error is not None]

    def _timed(self, name: str, sink: Sink) -> Callable[[FusedFrame], None]:
        """Return what writes to a sink and measures it."""

        def write(fused: FusedFrame) -> None:
            start = time.perf_counter()
            sink.write(fused)
            self.latency.record_timings({f"sink {name}": (time.perf_counter() - start) * 1e3})

        return write


def _sampling(report: HtmlReport) -> Callable[[_Sampled], None]:
    """Return what collects a result, and the state of the memory bank where there is one."""

    def write(sampled: _Sampled) -> None:
        fused, memory = sampled
        report.write(fused)
        if memory is not None:
            report.add_memory(memory)

    return write
