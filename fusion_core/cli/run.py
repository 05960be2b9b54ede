"""``fusion run``: fuse recorded or live streams from the command line."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from fusion_core.cli.settings import Assignments, read_config
from fusion_core.cli.stop_signal import StopSignal, quiet_abort
from fusion_core.errors import UsageError

if TYPE_CHECKING:
    from fusion_core.config import Config


@dataclass(frozen=True)
class Run:
    """Fuse two streams: files, folders, bags, cameras, sockets or a synthetic scene.

    SRC is a video file, a folder of images, /dev/videoN, zmq://host:port/topic,
    rtsp://host/stream (or udp, tcp, http, https, rtmp, srt), play://FILE (a recording in real time,
    as a camera sends it) or synthetic://SCENE?seed=1. DST is
    *.mp4 or *.mkv, a folder ending in / (PNG per frame), *.jsonl (one line per frame), bag:DIR
    (rosbag2), zmq://host:port/topic, a viewer (rerun://host:port, foxglove://host:port) or a
    recording for it (*.rrd, *.mcap). A summary is printed and written as run.json beside the first
    DST; the run.json of a run with other outputs is kept, then this one is called run-2.json.
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
    """One of `fusion models`, auto (selected by the scene prior), or weights.safetensors of
    `fusion train`."""
    prior: Literal["embedded", "clip", "blip2", "none"] | None = None
    """Provider of scene priors."""
    detector: Annotated[
        str | None, tyro.conf.arg(metavar="default|pair-nano-aerial|none|FILE.onnx")
    ] = None
    """Object detector on the fused stream; default: the one that ships with the package;
    pair-nano-aerial: the one that ships for the view from a drone."""
    box: Annotated[
        tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="X,Y,W,H")
    ] = ()
    """Box around an object to emphasise, for models that take a mask: left, top, width, height in
    pixels of the visible image; may be given several times."""
    mask: Annotated[str | None, tyro.conf.arg(metavar="FILE|FOLDER")] = None
    """What to emphasise, for models that take a mask: one 8-bit image for all frames, or a folder
    of them named as the visible frames or by frame number; values other than zero mark it."""
    text: str | None = None
    """What the picture shall show, for models that read a text."""
    view: bool = False
    """Serve a page on this machine that shows the stream and steers it; its address is printed."""
    overlay: bool = False
    """Draw the detected objects into videos."""
    calibration: Annotated[str | None, tyro.conf.arg(metavar="RIG.yaml")] = None
    """Rig file; without one the images must already be registered."""
    config: Annotated[Path | None, tyro.conf.arg(metavar="FILE.yaml")] = None
    """Configuration file, or a rig file."""
    device: Literal["auto", "cpu", "cuda"] | None = None
    """Where the network runs."""
    engine: Literal["auto", "torch", "openvino", "onnx"] | None = None
    """What runs it; auto: the fastest by a short measurement."""
    max_frames: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Stop after this many fused frames."""
    memory: Annotated[str | None, tyro.conf.arg(metavar="FILE")] = None
    """Memory bank to restore at the start and save at the end."""
    report: Annotated[Path | None, tyro.conf.arg(metavar="FILE.html")] = None
    """Write one self-contained page with pictures, plots and counters."""
    settings: Assignments = ()
    """Set any setting, as sync.max_skew_ms=40; may be given several times. Flags and --set replace
    what the configuration file has."""

    def run(self) -> int:
        """Fuse until the input ends or a signal comes, then print and write the summary."""
        self._check()
        with quiet_abort():
            from fusion_core.cli.session import RunSession

        with StopSignal() as stop, ExitStack() as stack:
            try:
                session = RunSession.open(self, stop, stack)
            except Exception:
                if stop.requested:  # an import that is interrupted may fail of anything
                    raise KeyboardInterrupt from None
                raise
            return session.fuse()

    def configuration(self) -> Config:
        """Return the configuration file's values with this command line's on top.

        Raises:
            ConfigError: A key or value is wrong.
        """
        flags = {
            "model": self.model,
            "prior": self.prior,
            "detector": self.detector,
            "text": self.text,
            "calibration": self.calibration,
            "device": self.device,
            "engine.kind": self.engine,
            "memory.file": self.memory,
            "mask.file": self.mask,
            "mask.box": ";".join(self.box) or None,
            "view.serve": self.view or None,
        }
        return read_config(self.config, flags, self.settings)

    def _check(self) -> None:
        if not (self.out or self.report or self.view):
            raise UsageError(
                "nothing to write: give at least one --out DST, --report FILE.html or --view"
            )
        if self.bag and (self.visible or self.thermal):
            raise UsageError("--bag holds both streams: leave out --visible and --thermal")
        if not self.bag and not (self.visible and self.thermal):
            raise UsageError("no input: give --visible SRC and --thermal SRC, or --bag BAG")
        if self.report is not None:
            from fusion_core.pages import require_page_packages

            require_page_packages(f"--report {self.report}")
        if self.view:
            from fusion_core.view import require_view_packages

            require_view_packages("--view")
        if self.max_frames is not None and self.max_frames < 1:
            raise UsageError(f"--max-frames {self.max_frames}: must be at least 1")
