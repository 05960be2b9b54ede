"""One run of the pipeline from a source into sinks, with its summary."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from fusion_core.cli.output_threads import OutputThreads
from fusion_core.cli.stop_signal import StopSignal
from fusion_core.cli.summary import print_summary, summarise, write_summary
from fusion_core.cli.warning_log import WarningLog
from fusion_core.config import Config
from fusion_core.errors import FusionError, SourceError, UsageError
from fusion_core.pipeline import Pipeline, pairing_problem
from fusion_core.registration import transform_depth
from fusion_core.runtime.overlap import refuse_overlap
from fusion_core.sink import Sink, open_sink
from fusion_core.sink.factory import output_kind, output_path
from fusion_core.sink.report import HtmlReport
from fusion_core.source import Source, open_source
from fusion_core.source.image_files import matching_paths
from fusion_core.types import FusedFrame
from fusion_core.view import open_page

if TYPE_CHECKING:
    from fusion_core.cli.run import Run
    from fusion_core.view.server import PageServer

_log = logging.getLogger(__name__)


@dataclass
class RunSession:
    """What a run has open, and what became of it.

    Attributes:
        options: The command line.
        source: Where frames come from.
        pipeline: What fuses them.
        sinks: Where results go.
        report: The page that shows the run, None without one.
        page: The page that shows the stream while it runs, None without one.
        stop: The signals that end the run early.
        error: The first failure; outputs are completed all the same.
        scored: Results that are a picture of the network.
        outputs: The threads that write.
        warnings: What was warned of since the session was opened.
    """

    options: Run
    source: Source
    pipeline: Pipeline
    sinks: list[Sink]
    report: HtmlReport | None
    page: PageServer | None
    stop: StopSignal
    error: FusionError | None = None
    scored: int = 0
    outputs: OutputThreads = field(default_factory=OutputThreads)
    warnings: WarningLog = field(default_factory=WarningLog)

    @classmethod
    def open(cls, options: Run, stop: StopSignal, stack: ExitStack) -> RunSession:
        """Open everything before work starts, so that bad usage costs nothing.

        Args:
            options: The command line.
            stop: The signals that end the run early; opening can be interrupted.
            stack: Closes what was opened.

        Raises:
            FusionError: Something cannot be opened, or an output would destroy an input.
        """
        with stop.interruptible():
            warnings = stack.enter_context(WarningLog())
            config = options.configuration()
            _check_paths(options, config)
            _check_calibration(options, config)
            source = stack.enter_context(
                open_source(
                    options.bag,
                    visible=options.visible,
                    thermal=options.thermal,
                    visible_topic=options.visible_topic,
                    thermal_topic=options.thermal_topic,
                    packed_counts=config.thermal.yuyv_counts,
                )
            )
            pipeline = stack.enter_context(Pipeline(config))
            if source.live:
                pipeline.warm_up()
            report = HtmlReport(options.report) if options.report else None
            sinks = [
                stack.enter_context(open_sink(destination, overlay=options.overlay))
                for destination in options.out
            ]
            page = None
            if config.view.serve:
                page = stack.enter_context(open_page(config.view, pipeline))
                print(f"view     {page.url}", flush=True)
        return cls(options, source, pipeline, sinks, report, page, stop, warnings=warnings)

    def fuse(self) -> int:
        """Fuse the source into the sinks, sum up, and return the exit code.

        Raises:
            FusionError: The input or an output failed; what came before it is complete.
        """
        start = time.perf_counter()
        total = self.options.max_frames or self.source.total
        # A program that runs sessions may add sinks of its own behind those of the outputs.
        names = [output_kind(name) for name in self.options.out]
        self.outputs.start(names, self.sinks, self.report)
        try:
            with tqdm(total=total, unit="frame", desc="fusing", dynamic_ncols=True) as bar:
                for fused in self._frames():
                    self._write(fused)
                    bar.update()
        except Exception as error:  # noqa: BLE001 - whatever ends a run, its outputs are completed
            self._keep_error(error)
        self._finish(time.perf_counter() - start)
        if self.error is not None:
            raise self.error
        return 1 if self.stop.requested and not self.source.live else 0

    def _frames(self) -> Iterator[FusedFrame]:
        """Yield results until the input ends, enough were fused, or a signal comes."""
        results = self.pipeline.stream(self.source)
        count = 0
        while not self.stop.requested and count != self.options.max_frames:
            try:
                with self.stop.interruptible():
                    fused = next(results, None)
            except KeyboardInterrupt:
                return
            if fused is None:
                return
            yield fused
            count += 1

    def _write(self, fused: FusedFrame) -> None:
        self.scored += fused.quality is not None
        self.outputs.write(fused, self.pipeline.status)
        if self.page:
            self.page.show(fused)

    def _finish(self, elapsed_s: float) -> None:
        """Complete every output, even where one of them fails, then write and print the summary."""
        for left in self.outputs.close():
            self._keep_error(left)
        status = self.pipeline.status()
        if status.fusion_failures and not self.scored and self.error is None:
            self.error = FusionError(
                f"the network failed on all of {status.fusion_failures} frames "
                f"({status.last_error}); choose another model or device"
            )
        if status.fused == 0 and self.error is None and not self.stop.requested:
            self.error = SourceError(
                f"no frame was fused: read {dict(status.read)}, dropped {dict(status.drops)}; "
                "check the streams' stamps, or raise sync.max_skew_ms"
            )
        elif problem := pairing_problem(status):
            _log.warning("%s", problem)
        if self.page:
            self.page.close()
        # The memory bank is saved with the pipeline's end.
        for output in (*self.sinks, self.pipeline):
            try:
                output.close()
            except FusionError as error:
                self._keep_error(error)
        outputs = list(self.options.out)
        outputs += [str(self.options.report)] if self.report else []
        summary = summarise(
            status,
            self.pipeline.config,
            elapsed_s,
            sinks=self.outputs.latency,
            outputs=outputs,
            not_shown={
                name: dict(sink.dropped)
                for name, sink in zip(self.options.out, self.sinks, strict=False)
                if sink.dropped
            },
            error=str(self.error or ""),
            warnings=self.warnings.messages,
        )
        try:
            if self.report:
                self.report.add_memory(status.memory)
                self.report.close(summary)
        except FusionError as error:
            self._keep_error(error)
            summary["error"] = str(self.error)
        written: Path | None = None
        try:
            written = write_summary(summary)
        except FusionError as error:
            self._keep_error(error)
        print_summary(summary, written)

    def _keep_error(self, error: Exception) -> None:
        """Keep the first error, which ends the run; say any later one now."""
        if not isinstance(error, FusionError):
            _log.debug("the run failed", exc_info=error)
            error = FusionError(
                f"the run failed ({type(error).__name__}: {error}); what came before it is kept"
            )
        if self.error is None:
            self.error = error
        elif str(error) != str(self.error):
            _log.error("%s", error)


def _check_calibration(options: Run, config: Config) -> None:
    """Refuse the calibration ``tf`` for inputs whose frames nobody knows."""
    known = options.bag and "://" not in options.bag
    if transform_depth(config.calibration) is not None and not known:
        raise UsageError(
            f"calibration {config.calibration}: only bags and the ROS node know frames and their "
            "transforms; give --bag BAG, or a rig file"
        )


def _check_paths(options: Run, config: Config) -> None:
    """Refuse outputs that would destroy an input or each other."""
    streams = [options.bag, options.visible, options.thermal]
    files = [path for path in (config.model, config.detector) if Path(path).is_file()]
    settings = [config.calibration, config.mask.file, config.priors.weights, *files]
    named = [path for path in (*streams, *settings) if path and "://" not in path]
    inputs = [path for name in named for path in matching_paths(name)]
    if options.config:
        inputs.append(options.config)
    outputs = [path for name in options.out if (path := output_path(name))]
    if options.report:
        outputs.append(options.report)
    if config.memory.file:
        outputs.append(Path(config.memory.file))
    refuse_overlap(inputs, outputs)
