"""``fusion run``: fuse recorded or live streams from the command line."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from fusion_core.cli.summary import print_summary, summarise, write_summary
from fusion_core.errors import FusionError, SourceError, UsageError
from fusion_core.runtime.meters import LatencyMeter

if TYPE_CHECKING:
    from fusion_core.config import Config
    from fusion_core.pipeline import Pipeline
    from fusion_core.sink import Sink
    from fusion_core.sink.report import HtmlReport
    from fusion_core.source import Source
    from fusion_core.types import FusedFrame

_MEMORY_SAMPLE_FRAMES = 30


@dataclass(frozen=True)
class Run:
    """Fuse two streams: files, folders, bags, cameras, sockets or a synthetic scene.

    SRC is a video file, a folder of images, /dev/videoN, zmq://host:port/topic or
    synthetic://SCENE?seed=1. DST is *.mp4 or *.mkv, a folder ending in / (PNG per frame),
    *.jsonl (one line per frame), bag:DIR (rosbag2) or zmq://host:port/topic. A summary is
    printed and written as run.json beside the first DST.
    """

    out: Annotated[tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="DST")] = ()
    """Where results go; may be given several times."""
    visible: Annotated[str | None, tyro.conf.arg(metavar="SRC")] = None
    """Visible stream."""
    thermal: Annotated[str | None, tyro.conf.arg(metavar="SRC")] = None
    """Thermal stream."""
    bag: Annotated[str | None, tyro.conf.arg(metavar="BAG")] = None
    """A ROS 1 or ROS 2 bag, or synthetic://SCENE, that holds both streams."""
    visible_topic: Annotated[str | None, tyro.conf.arg(metavar="T")] = None
    """Topic of the visible images in the bag; found by type and name when not given."""
    thermal_topic: Annotated[str | None, tyro.conf.arg(metavar="T")] = None
    """Topic of the thermal images in the bag; found by type and name when not given."""
    model: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """One of `fusion models`, auto (the prior picks), or weights.safetensors of `fusion train`."""
    prior: Literal["embedded", "clip", "blip2", "none"] | None = None
    """Provider of scene priors."""
    detector: Annotated[str | None, tyro.conf.arg(metavar="default|none|FILE.onnx")] = None
    """Object detector on the fused stream; default: the one that ships with the package."""
    mask: Annotated[str | None, tyro.conf.arg(metavar="FILE|FOLDER")] = None
    """What matters, for models that take a mask: one 8-bit image for all frames, or a folder of
    them named as the visible frames or by frame number; not zero marks."""
    overlay: bool = False
    """Draw what the detector found into videos."""
    calibration: Annotated[str | None, tyro.conf.arg(metavar="RIG.yaml")] = None
    """Rig file; without one the images must already be registered."""
    config: Annotated[Path | None, tyro.conf.arg(metavar="FILE.yaml")] = None
    """Configuration file; flags given here win over it."""
    device: Literal["auto", "cpu", "cuda"] | None = None
    """Where the network runs."""
    max_frames: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Stop after this many fused frames."""
    memory: Annotated[str | None, tyro.conf.arg(metavar="FILE")] = None
    """Memory bank to restore at the start and save at the end."""
    report: Annotated[Path | None, tyro.conf.arg(metavar="FILE.html")] = None
    """Write one self-contained page with pictures, plots and counters."""

    def run(self) -> int:
        """Fuse until the input ends, then print and write the summary."""
        self._check()
        session = _Session(self)
        with session.opened() as (source, pipeline):
            return session.fuse(source, pipeline)

    def settings(self) -> Config:
        """Return the configuration file's values with this command line's on top.

        Raises:
            ConfigError: A key or value is wrong.
        """
        from fusion_core.config import Config

        flags = {
            "model": self.model,
            "prior": self.prior,
            "detector": self.detector,
            "calibration": self.calibration,
            "device": self.device,
        }
        given = {name: value for name, value in flags.items() if value is not None}
        config = (
            Config.load(self.config, **given)
            if self.config
            else Config.from_dict(given, "command line")
        )
        if self.memory is not None:
            config = replace(config, memory=replace(config.memory, file=self.memory))
        if self.mask is not None:
            config = replace(config, mask=replace(config.mask, file=self.mask))
        return config

    def _check(self) -> None:
        if not self.out and self.report is None:
            raise UsageError("nothing to write: give at least one --out DST or --report FILE.html")
        if self.bag and (self.visible or self.thermal):
            raise UsageError("--bag holds both streams: leave out --visible and --thermal")
        if not self.bag and not (self.visible and self.thermal):
            raise UsageError("no input: give --visible SRC and --thermal SRC, or --bag BAG")
        if self.max_frames is not None and self.max_frames < 1:
            raise UsageError(f"--max-frames {self.max_frames}: must be at least 1")


@dataclass
class _Session:
    """One run: what is open, and what came of it."""

    options: Run
    sinks: list[Sink] = field(default_factory=list)
    report: HtmlReport | None = None
    error: FusionError | None = None
    latency: LatencyMeter = field(default_factory=LatencyMeter)

    @contextmanager
    def opened(self) -> Iterator[tuple[Source, Pipeline]]:
        """Open everything before work starts, so that bad usage costs nothing."""
        from fusion_core.pipeline import Pipeline
        from fusion_core.sink import open_sink
        from fusion_core.source import open_source

        options = self.options
        with ExitStack() as stack:
            source = stack.enter_context(
                open_source(
                    options.bag,
                    visible=options.visible,
                    thermal=options.thermal,
                    visible_topic=options.visible_topic,
                    thermal_topic=options.thermal_topic,
                )
            )
            pipeline = stack.enter_context(Pipeline(options.settings()))
            if options.report:
                from fusion_core.sink.report import HtmlReport

                self.report = HtmlReport(options.report)
            self.sinks = [
                stack.enter_context(open_sink(destination, overlay=options.overlay))
                for destination in options.out
            ]
            yield source, pipeline

    def fuse(self, source: Source, pipeline: Pipeline) -> int:
        """Fuse the source into the sinks and sum up."""
        from tqdm import tqdm

        start = time.perf_counter()
        frames = self._limited(pipeline.stream(source))
        total = self.options.max_frames or source.total
        interrupted = False
        try:
            for fused in tqdm(frames, total=total, unit="frame", desc="fusing", dynamic_ncols=True):
                self._write(fused, pipeline)
        except FusionError as error:
            self.error = error
        except KeyboardInterrupt:
            interrupted = True
        elapsed_s = time.perf_counter() - start
        return self._finish(source, pipeline, elapsed_s, interrupted)

    def _limited(self, frames: Iterator[FusedFrame]) -> Iterator[FusedFrame]:
        for count, fused in enumerate(frames, start=1):
            yield fused
            if count == self.options.max_frames:
                return

    def _write(self, fused: FusedFrame, pipeline: Pipeline) -> None:
        start = time.perf_counter()
        for sink in self.sinks:
            sink.write(fused)
        if self.report:
            self.report.write(fused)
            if fused.frame % _MEMORY_SAMPLE_FRAMES == 0:
                self.report.add_memory(pipeline.status().memory)
        self.latency.record_timings({"sink": (time.perf_counter() - start) * 1e3})

    def _finish(
        self, source: Source, pipeline: Pipeline, elapsed_s: float, interrupted: bool
    ) -> int:
        status = pipeline.status()
        if status.fused == 0 and self.error is None and not interrupted:
            self.error = SourceError(
                f"no frame was fused: read {dict(status.read)}, dropped {dict(status.drops)}; "
                "check the streams' stamps, or raise sync.max_skew_ms"
            )
        self._close_sinks()
        summary: dict[str, Any] = summarise(
            status, pipeline.config, elapsed_s, self.latency, str(self.error or "")
        )
        if self.report:
            self.report.add_memory(status.memory)
            self.report.close(summary)
        outputs = [*self.options.out, *([str(self.options.report)] if self.options.report else [])]
        written = write_summary(summary, outputs[0])
        print_summary(summary, [*outputs, str(written)])
        if self.error is not None:
            raise self.error
        return 1 if interrupted and not source.live else 0

    def _close_sinks(self) -> None:
        """Complete every output, even where one of them fails."""
        for sink in self.sinks:
            try:
                sink.close()
            except FusionError as error:
                self.error = self.error or error
