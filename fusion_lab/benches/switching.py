"""Model ``auto`` over a recording: when it changes networks, and whether the picture jumps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from fusion_core.cli.settings import Assignments
from fusion_core.engine.switching import degradation
from fusion_core.errors import SourceError, UsageError
from fusion_core.pipeline import Pipeline
from fusion_core.source import open_source
from fusion_core.types import FusedFrame
from fusion_lab.benches.command import BenchCommand
from fusion_lab.benches.configuration import bench_config
from fusion_lab.benches.plots import load_pyplot
from fusion_lab.benches.tables import Table

_FADE = 15


@dataclass(frozen=True, slots=True)
class FrameChange:
    """One frame of a run.

    Attributes:
        model: The network in force.
        degraded: Probability that the scene is degraded, as the switch computes it.
        dark: Probability of low light.
        fused: Mean absolute change of the fused picture from the frame before, of 255.
        visible: The same of the visible picture.
    """

    model: str
    degraded: float
    dark: float
    fused: float
    visible: float


@dataclass(frozen=True, slots=True)
class NetworkSwitch:
    """One change of networks.

    Attributes:
        frame: First frame of the new network.
        model: Its name.
        degraded: Probability that the scene is degraded.
        fade: Mean change per frame over the 15 frames of the fade, of 255.
        fade_most: Largest of them.
        around: Mean change per frame over the 15 frames before and after; nan without any.
        around_most: Largest of them.
    """

    frame: int
    model: str
    degraded: float
    fade: float
    fade_most: float
    around: float
    around_most: float


@dataclass(frozen=True, slots=True)
class SwitchingResult:
    """A run.

    Attributes:
        frames: Every frame.
        switches: Every change of networks.
    """

    frames: tuple[FrameChange, ...]
    switches: tuple[NetworkSwitch, ...]

    def tables(self) -> Sequence[Table]:
        """Return the changes of networks, and how much pictures change at all."""
        head = ("frame", "model", "degraded", "fade", "at most", "around", "at most")
        rows = tuple(
            (s.frame, s.model, s.degraded, s.fade, s.fade_most, s.around, s.around_most)
            for s in self.switches
        )
        title = f"{len(self.frames)} frames, begins with {self.frames[0].model}; changes of 255"
        later = self.frames[1:]
        most = max(range(len(later)), key=lambda index: later[index].fused)
        middle, late = np.percentile([frame.fused for frame in later], (50, 95))
        largest = (later[most].fused, most + 1, later[most].visible)
        columns = ("median", "95 %", "at most", "at frame", "visible there")
        changes = Table(
            "Change per frame, of 255", columns, ((float(middle), float(late), *largest),)
        )
        return [Table(title, head, rows), changes]


@dataclass(frozen=True, kw_only=True)
class SwitchingBench(BenchCommand):
    """Run model `auto` over a recording: when networks change, and whether the picture jumps."""

    visible: Annotated[str, tyro.conf.arg(metavar="SRC")] = ""
    """Visible stream, as for `fusion run`."""
    thermal: Annotated[str, tyro.conf.arg(metavar="SRC")] = ""
    """Thermal stream."""
    bag: Annotated[str, tyro.conf.arg(metavar="SRC")] = ""
    """A source of both streams instead."""
    settings: Assignments = ()
    """Any other setting of the pipeline; detector is none when not given."""
    pictures: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Plot the run into this folder: mdaif_auto.png."""

    def measure(self) -> SwitchingResult:
        """Run the pipeline."""
        if bool(self.bag) == bool(self.visible and self.thermal):
            raise UsageError("give --visible SRC and --thermal SRC, or --bag SRC")
        config = bench_config(self.settings, "auto", detector="none")
        with (
            open_source(
                self.bag or None, visible=self.visible or None, thermal=self.thermal or None
            ) as source,
            Pipeline(config) as pipeline,
        ):
            result = measure_switching(pipeline.stream(source))
        if self.pictures:
            draw_switching(result, self.pictures / "mdaif_auto.png")
        return result


def measure_switching(results: Iterable[FusedFrame]) -> SwitchingResult:
    """Follow the networks and the pictures of a run.

    Raises:
        SourceError: There are fewer than two complete frames.
    """
    frames: list[FrameChange] = []
    before = None
    for result in results:
        if result.prior is None or result.aligned.visible is None:
            continue
        both = result.image.astype(np.int16), result.aligned.visible.astype(np.int16)
        fused, visible = (
            float(np.abs(now - then).mean()) for now, then in zip(both, before or both, strict=True)
        )
        dark = result.prior.visible.get("low_light", 0.0)
        frames.append(FrameChange(result.model, degradation(result.prior), dark, fused, visible))
        before = both
    if len(frames) < 2:
        raise SourceError(f"{len(frames)} complete frames; switching needs at least two")
    return SwitchingResult(tuple(frames), tuple(find_switches(frames)))


def find_switches(frames: Sequence[FrameChange]) -> list[NetworkSwitch]:
    """Return the changes of networks with the change of pictures in and around their fades."""
    moved = [frame.fused for frame in frames]
    found = []
    for index in range(1, len(frames)):
        if frames[index].model == frames[index - 1].model:
            continue
        fade = moved[index : index + _FADE]
        around = moved[max(1, index - _FADE) : index] + moved[index + _FADE : index + 2 * _FADE]
        found.append(
            NetworkSwitch(
                index,
                frames[index].model,
                frames[index].degraded,
                float(np.mean(fade)),
                max(fade),
                float(np.mean(around)) if around else float("nan"),
                max(around, default=float("nan")),
            )
        )
    return found


def draw_switching(result: SwitchingResult, path: Path, rate_hz: float = 30.0) -> None:
    """Plot the prior in force, the network, and the change of pictures over time.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    plt = load_pyplot(path)
    frames = result.frames
    first = frames[0].model
    seconds = np.arange(len(frames)) / rate_hz
    figure, axes = plt.subplots(2, 1, figsize=(10, 4.5), sharex=True, layout="constrained")
    axes[0].plot(seconds, [f.degraded for f in frames], label="rain, snow, noise, haze or smoke")
    axes[0].plot(seconds, [f.dark for f in frames], label="low light")
    running = [float(frame.model == first) for frame in frames]
    axes[0].fill_between(seconds, running, color="0.85", label=f"{first} runs")
    axes[0].set(ylabel="prior in force", ylim=(-0.02, 1.02))
    axes[1].plot(seconds[1:], [f.fused for f in frames[1:]], lw=1, label="fused")
    axes[1].plot(seconds[1:], [f.visible for f in frames[1:]], lw=1, label="visible")
    axes[1].set(ylabel="mean change, of 255", xlabel="seconds")
    for panel in axes:
        panel.legend(loc="upper right", fontsize=8)
    figure.savefig(path, dpi=80)
    plt.close(figure)
