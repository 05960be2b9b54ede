"""Two videos played in real time into ``fusion run``: what arrives, how late, how old it is."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Final

import av
import cv2
import numpy as np
import tyro

from fusion_core.cli.settings import Assignments, read_config
from fusion_core.errors import FusionError
from fusion_core.source import open_source
from fusion_lab.benches.command import BenchCommand
from fusion_lab.benches.latency import STREET
from fusion_lab.benches.tables import Table
from fusion_lab.benches.timing import Timing

_NS: Final = 1_000_000_000
_END_S: Final = 60.0
_START_S: Final = 120.0
_WARM_UP_S: Final = 2.0
_RESERVE_S: Final = 5.0  # for the start of the run, beside which the videos play already
_FRAMES: Final = 120
_FRESH_MS: Final = 80
_RATE: Final = 30


@dataclass(frozen=True, slots=True)
class LiveResult:
    """Figures of a run.

    Attributes:
        rate_hz: Frames per second of each video.
        seconds: Length that counts.
        delivered: Share of the frames that were due whose result was written.
        age_ms: From the pairing of a pair to its result; None when nothing was written.
        detections_age_ms: How long before each frame the one was taken that the detector saw; None
            without a detector.
        detected: Share of the frames with an answer of the detector, its own or predicted.
        fresh: Share of the frames whose detections are at most 80 ms old.
        looks_hz: Pairs per second that the detector looked at.
        stages: Median of each stage in milliseconds.
    """

    rate_hz: float
    seconds: float
    delivered: float
    age_ms: Timing | None
    detections_age_ms: Timing | None
    detected: float
    fresh: float
    looks_hz: float
    stages: Mapping[str, float]

    def tables(self) -> Sequence[Table]:
        """Return the figures, and the stages."""
        rows: list[tuple[str | float, ...]] = [("delivered %", 100 * self.delivered)]
        for name, timing in (
            ("pair to result", self.age_ms),
            ("age of detections", self.detections_age_ms),
        ):
            if timing is not None:
                rows += [(f"{name} p50 ms", timing.median), (f"{name} p99 ms", timing.p99)]
        if self.detections_age_ms is not None:
            rows += [("frames with detections' answer %", 100 * self.detected)]
            rows += [(f"frames with detections of at most {_FRESH_MS} ms %", 100 * self.fresh)]
            rows += [("pairs that the detector saw, per s", self.looks_hz)]
        title = f"Live, {self.rate_hz:.0f} Hz for {self.seconds:.0f} s"
        stages = tuple(sorted(self.stages.items(), key=lambda entry: -entry[1]))
        return [
            Table(title, ("figure", "value"), tuple(rows), digits=1),
            Table("Stages", ("stage", "p50 ms"), stages),
        ]


@dataclass(frozen=True, kw_only=True)
class LiveBench(BenchCommand):
    """Play two videos in real time into `fusion run`, as on a robot, and say what comes out.

    The run has a process of its own and writes JSON lines; nothing else is in its way but the
    machine's other work. Without videos a synthetic street of 640x480 at 30 Hz is made first.
    """

    visible: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Visible video."""
    thermal: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Thermal video; both begin at the same time."""
    seconds: Annotated[float, tyro.conf.arg(metavar="S")] = 30.0
    """Length that counts, after the first two seconds."""
    sinks: Annotated[tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="DST")] = ()
    """Further outputs, as `zmq://127.0.0.1:5600/fusion`."""
    settings: Assignments = ()
    """Settings of the run."""

    def measure(self) -> LiveResult:
        """Run for the given time."""
        read_config(None, {}, self.settings)
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            if self.visible is None or self.thermal is None:
                videos = make_street(place, self.seconds + _WARM_UP_S + _RESERVE_S)
            else:
                videos = self.visible, self.thermal
            log = place / "live.jsonl"
            _run(videos, log, self.sinks, self.settings, self.seconds + _WARM_UP_S)
            lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
            return live_result(lines, _rate(videos[0]), self.seconds)


def make_street(
    folder: Path,
    seconds: float,
    frames: int = _FRAMES,
    url: str = STREET,
    size: tuple[int, int] | None = None,
) -> tuple[Path, Path]:
    """Render a scene into a visible and a thermal video and return both.

    They are not played in a loop: opening a video anew takes longer than a frame, which no camera
    does.

    Args:
        folder: Where they are written.
        seconds: Least length of each.
        frames: Frames that are rendered; they come again and again.
        url: The scene.
        size: Width and height that its pictures are scaled to; None leaves them.
    """
    paths = folder / "visible.mp4", folder / "thermal.mkv"
    with open_source(url) as source:
        pictures: dict[str, list[np.ndarray]] = {"visible": [], "thermal": []}
        for frame in islice(source.frames(), 2 * frames):
            image = frame.image
            if image.dtype == np.uint16:
                low, high = np.percentile(image, (1, 99))
                image = np.clip((image - low) / (high - low) * 255, 0, 255).astype(np.uint8)
            image = image if size is None else np.asarray(cv2.resize(image, size))
            pictures[frame.modality].append(image)
    for path, images in zip(paths, pictures.values(), strict=True):
        once = path.with_name(f"{path.stem}-once.mp4")
        _write_video(once, images)
        _repeat_video(once, path, len(images), max(1, math.ceil(seconds * _RATE / frames)))
    return paths


def live_result(lines: Sequence[Mapping[str, Any]], rate_hz: float, seconds: float) -> LiveResult:
    """Return the figures of the lines that a run has written.

    Args:
        lines: Lines of JSON in order.
        rate_hz: Frames per second that were due.
        seconds: Length that counts; what is older than that at the end is the warm-up.

    Raises:
        FusionError: The run has written nothing.
    """
    if not lines:
        raise FusionError("bench live: the run has written no frame; see its log above")
    # Half an interval on the safe side: stamps are rounded, and the first frame counts.
    first_ns = lines[-1]["stamp_ns"] + (0.5 / rate_hz - seconds) * _NS
    counted = [line for line in lines if line["stamp_ns"] >= first_ns]
    ages = [line["latency_ms"]["age"] for line in counted if "age" in line["latency_ms"]]
    known = [line["detections_age_ns"] / 1e6 for line in counted if _has_age(line)]
    names = dict.fromkeys(name for line in counted for name in line["latency_ms"])
    return LiveResult(
        rate_hz=rate_hz,
        seconds=seconds,
        delivered=len(counted) / (rate_hz * seconds),
        age_ms=Timing.of(ages) if ages else None,
        detections_age_ms=Timing.of(known) if known else None,
        detected=len(known) / len(counted),
        fresh=sum(age <= _FRESH_MS for age in known) / len(counted),
        looks_hz=sum("detector" in line["latency_ms"] for line in counted) / seconds,
        stages={name: _median(counted, name) for name in names},
    )


def _has_age(line: Mapping[str, Any]) -> bool:
    return line["detections_age_ns"] is not None


def _median(lines: Sequence[Mapping[str, Any]], name: str) -> float:
    return float(np.median([line["latency_ms"].get(name, 0.0) for line in lines]))


def _run(
    videos: tuple[Path, Path],
    log: Path,
    sinks: Sequence[str],
    settings: Sequence[str],
    seconds: float,
) -> None:
    """Run ``fusion run`` on two videos for a time from its first result on.

    Raises:
        FusionError: It ends by itself.
    """
    visible, thermal = (f"play://{path.absolute()}?loop=1" for path in videos)
    command = [sys.executable, "-m", "fusion_core.cli.main", "run"]
    command += ["--visible", visible, "--thermal", thermal, "--out", str(log)]
    command += [word for sink in sinks for word in ("--out", sink)]
    command += [word for text in settings for word in ("--set", text)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603 - this interpreter
    try:
        limit = time.monotonic() + _START_S
        while not log.exists() or not log.stat().st_size:
            _require_running(process, limit)
            time.sleep(0.05)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            _require_running(process, end + _END_S)
            time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        process.wait(_END_S)
    finally:
        process.kill()
        process.wait()


def _require_running(process: subprocess.Popen[bytes], limit_s: float) -> None:
    if process.poll() is not None or time.monotonic() > limit_s:
        raise FusionError("bench live: the run has ended or does not begin; see its log above")


def _rate(path: Path) -> float:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return float(stream.average_rate or stream.guessed_rate or 30)


def _write_video(path: Path, images: Sequence[np.ndarray]) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=_RATE, options={"crf": "18"})
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for image in images:
            layout = "rgb24" if image.ndim == 3 else "gray"
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format=layout)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


def _repeat_video(once: Path, path: Path, frames: int, times: int) -> None:
    """Write a video that shows another one several times; nothing is encoded anew."""
    with av.open(str(once)) as given, av.open(str(path), "w") as container:
        video = given.streams.video[0]
        target = container.add_stream_from_template(video)
        assert video.time_base is not None, "a video file has one"
        for number in range(times):
            later = round(number * frames / _RATE / video.time_base)
            given.seek(0)
            for packet in given.demux(video):
                if packet.dts is None or packet.pts is None:
                    continue  # the one that ends the stream
                packet.dts, packet.pts, packet.stream = (
                    packet.dts + later,
                    packet.pts + later,
                    target,
                )
                container.mux(packet)
