"""The plots of a calibration report."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from fusion_core.calibration.intrinsics import Intrinsics
from fusion_core.calibration.recording import TargetTrack
from fusion_core.calibration.relative_pose import RelativePose
from fusion_core.calibration.targets import Points
from fusion_core.calibration.time_offset import TimeOffset
from fusion_core.pages.svg import COLOURS, label_axes, svg_plot
from fusion_core.types import Modality

_MOST_DOTS: Final = 800
_WINDOW_MS: Final = 600.0


def draw_coverage(track: TargetTrack, camera: Intrinsics) -> str:
    """Draw the positions of the detected points in the image."""

    def draw(axes: Any) -> None:  # noqa: ANN401
        dots = _thinned(np.concatenate([view.pixels for view in camera.views]))
        axes.scatter(dots[:, 0], dots[:, 1], s=3, color=COLOURS[0], linewidths=0)
        axes.set_xlim(0, track.size[0])
        axes.set_ylim(track.size[1], 0)
        axes.set_aspect("equal")
        label_axes(axes, "x (px)", "y (px)")

    return svg_plot(f"coverage-{track.modality}", draw)


def draw_residuals(modality: Modality, camera: Intrinsics) -> str:
    """Draw observed minus projected positions."""

    def draw(axes: Any) -> None:  # noqa: ANN401
        dots = _thinned(np.concatenate(camera.residuals))
        reach = max(float(np.percentile(np.abs(dots), 99.5)) * 1.2, 1e-3)
        axes.scatter(dots[:, 0], dots[:, 1], s=3, color=COLOURS[1], linewidths=0)
        axes.set_xlim(-reach, reach)
        axes.set_ylim(reach, -reach)
        axes.set_aspect("equal")
        label_axes(axes, "dx (px)", "dy (px)")

    return svg_plot(f"residuals-{modality}", draw)


def draw_errors(pose: RelativePose) -> str:
    """Draw the error of every pair in both cameras."""

    def draw(axes: Any) -> None:  # noqa: ANN401
        places = np.arange(len(pose.errors))
        for side, name in enumerate(("visible", "thermal")):
            shift = 0.4 * side - 0.2
            axes.bar(places + shift, pose.errors[:, side], 0.4, color=COLOURS[side], label=name)
        label_axes(axes, "pair", "RMS (px)")

    return svg_plot("pairs", draw)


def draw_time_offset(time_offset: TimeOffset) -> str:
    """Draw the correlation of both cameras' motion over the offset."""

    def draw(axes: Any) -> None:  # noqa: ANN401
        offsets = time_offset.lag.lags_ns / 1e6
        near = np.abs(offsets - time_offset.offset_ms) < _WINDOW_MS
        axes.plot(
            offsets[near],
            time_offset.lag.scores[near],
            color=COLOURS[0],
            label="correlation of the motion",
        )
        label = f"{time_offset.offset_ms:+.2f} ms"
        axes.axvline(time_offset.offset_ms, color=COLOURS[1], linewidth=1, label=label)
        label_axes(axes, "added to thermal stamps (ms)", "correlation")

    return svg_plot("time-offset", draw)


def _thinned(dots: Points) -> Points:
    return dots[:: max(1, len(dots) // _MOST_DOTS)]
