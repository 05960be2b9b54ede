"""How pairs reach the pipeline's step: from a recording in order, live the newest."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import replace

from fusion_core.errors import FusionError
from fusion_core.pipeline.intake import FrameIntake
from fusion_core.pipeline.statistics import PipelineStatistics
from fusion_core.runtime.process import BackgroundThread
from fusion_core.source import Source
from fusion_core.types import FramePair, FusedFrame

_log = logging.getLogger(__name__)
_JOIN_S = 10.0


class StreamRunner:
    """Takes pairs from the intake, fuses them, and counts those without a result.

    Args:
        step: Fuses one pair, given when it was formed; returns None for one that the settings leave
            out.
        rest: Does what a live frame should not wait for, after each result has been taken.
        intake: Where frames go in and pairs come out.
        statistics: Where failures and latencies are counted.
    """

    def __init__(
        self,
        step: Callable[[FramePair, float | None], FusedFrame | None],
        rest: Callable[[], None],
        intake: FrameIntake,
        statistics: PipelineStatistics,
    ) -> None:
        self._step, self._rest = step, rest
        self._intake = intake
        self._statistics = statistics
        self._worker: threading.Thread | None = None

    def recorded_results(self, source: Source) -> Generator[FusedFrame, None, None]:
        """Fuse a recording; what was read before an input broke is fused first."""
        broken: Exception | None = None
        frames = source.frames()
        while True:
            try:
                frame = next(frames, None)
            except Exception as error:  # noqa: BLE001 - whatever a source raises, it is broken
                broken = error
                break
            if frame is None:
                break
            yield from self._fuse_all(self._intake.pair_frame(frame))
        yield from self._fuse_all(self._intake.pair_pending())
        if broken is not None:
            raise broken

    def live_results(self, source: Source) -> Generator[FusedFrame, None, None]:
        """Fuse the newest pairs of a live source, which a thread reads, until it ends."""
        broken: list[BaseException] = []

        def read() -> None:
            try:
                for frame in source.frames():
                    self._intake.submit_frame(frame)
            except BaseException as error:  # noqa: BLE001 - raised in the thread that iterates
                broken.append(error)
            finally:
                self._intake.end_live()

        reader = BackgroundThread(read, "reader")
        reader.start()
        try:
            yield from self._newest_results()
        finally:
            source.close()
            reader.join(_JOIN_S)
        if broken:
            raise broken[0]

    def start(self, on_fused: Callable[[FusedFrame], None]) -> None:
        """Fuse the newest pairs in a thread of its own, which calls ``on_fused``."""
        self._worker = BackgroundThread(self._work, "fusion", (on_fused,))
        self._worker.start()

    def join(self) -> None:
        """Wait for the thread, once the intake has ended."""
        if self._worker is not None:
            self._worker.join(_JOIN_S)
            self._worker = None

    def _fuse_all(self, pairs: list[FramePair]) -> Generator[FusedFrame, None, None]:
        """Fuse pairs in order; those left when the caller stops are ``abandoned``."""
        waiting = deque(pairs)
        try:
            while waiting:
                fused = self._fuse(waiting.popleft())
                if fused is not None:
                    yield fused
        finally:
            for pair in waiting:
                self._intake.drop_pair(pair, "abandoned")

    def _fuse(self, pair: FramePair, paired_at: float | None = None) -> FusedFrame | None:
        """Fuse one pair, and count it where there is no result."""
        try:
            fused = self._step(pair, paired_at)
        except Exception as error:
            known = isinstance(error, FusionError)
            self._statistics.count_failure(str(error) if known else _described(error))
            self._intake.drop_pair(pair, "failed")
            raise
        if fused is None:
            self._intake.drop_pair(pair, "frozen")
        return fused

    def _newest_results(self) -> Generator[FusedFrame, None, None]:
        """Fuse the newest pair, again and again, until the end; a bad one is only counted."""
        while (entry := self._intake.next_pair()) is not None:
            pair, paired_at = entry
            try:
                fused = self._fuse(pair, paired_at)
            except FusionError:
                continue
            except Exception:  # noqa: BLE001 - a live stream outlives any one frame
                _log.exception("a pair could not be fused")
                continue
            if fused is not None:
                age_ms = (time.perf_counter() - paired_at) * 1e3
                self._statistics.latency.record_timings({"age": age_ms})
                yield replace(fused, timings={**fused.timings, "age": age_ms})
                self._rest()

    def _work(self, on_fused: Callable[[FusedFrame], None]) -> None:
        for fused in self._newest_results():
            try:
                on_fused(fused)
            except Exception as error:  # noqa: BLE001 - a failed output must not end the stream
                _log.exception("a result could not be handed on")
                self._statistics.last_error = _described(error)


def _described(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
