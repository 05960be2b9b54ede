"""What registration costs the frame path."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.registration import Registrar, RegistrationConfig, Rig
from fusion_core.registration.calibration_map import CalibrationMap
from fusion_core.types import FloatImage, Frame, ThermalImage, UInt8Image
from fusion_lab.benches.tables import Table
from fusion_lab.benches.timing import Timing, interleaved

_RATE_HZ = 30.0
_SKIPPED = 15
_RANKS = (50, 90, 99)


@dataclass(frozen=True, slots=True)
class RefinementCost:
    """The frame path with and without refinement beside it, in turns.

    Attributes:
        off: Without.
        on: With.
        ratios: Percentile of a turn -> quartiles over the turns of "on" by "off".
    """

    off: Timing
    on: Timing
    ratios: Mapping[int, tuple[float, float, float]]

    def tables(self) -> list[Table]:
        """Return durations and ratios."""
        rows = tuple((name, t.median, t.p99) for name, t in (("off", self.off), ("on", self.on)))
        ratios = tuple((f"p{rank}", *quartiles) for rank, quartiles in self.ratios.items())
        return [
            Table("Frame path with refinement", ("refinement", "p50 ms", "p99"), rows),
            Table("on / off, per turn", ("of a turn", "lower quartile", "median", "upper"), ratios),
        ]


def measure_warp(rounds: int = 50, size: tuple[int, int] = (640, 480)) -> dict[str, Timing]:
    """Return the process time of warping a frame, and of making a new map in the background."""
    thermal = np.random.default_rng(0).random(size[::-1], dtype=np.float32)
    matrix = np.array([[1.001, 0.002, 3.3], [-0.002, 1.0, -2.1], [0, 0, 1]])
    field = CalibrationMap(None, size, size, 30)
    warp = field.corrected(matrix)
    cases = {
        "warp of a frame": lambda: warp.apply(thermal),
        "new map (background)": lambda: field.corrected(matrix),
    }
    times = interleaved(cases, rounds, clock=time.process_time)
    return {name: Timing.of(values) for name, values in times.items()}


def warp_table(times: Mapping[str, Timing]) -> Table:
    """Return one row per part."""
    rows = tuple((name, timing.least, timing.median) for name, timing in times.items())
    return Table("Cost at 640x480, process time", ("part", "least ms", "median"), rows)


def measure_refinement(turns: int = 12, frames: int = 150) -> RefinementCost:
    """Run the frame path at 30 Hz with and without refinement, in turns.

    Args:
        turns: Turns of each.
        frames: Frames per turn; the first 15 do not count.
    """
    visible, thermal = _still_scene()
    times: dict[Literal["off", "on"], list[NDArray[np.float64]]] = {"off": [], "on": []}
    for _ in range(turns):
        for mode, of_mode in times.items():
            with Registrar(_rig(), RegistrationConfig(refine=mode)) as registrar:
                registrar.start()
                of_mode.append(_frame_ms(registrar, visible, thermal, frames))
    ratios = {}
    for rank in _RANKS:
        off, on = (np.percentile(of_mode, rank, axis=1) for of_mode in times.values())
        low, middle, high = np.percentile(on / off, (25, 50, 75))
        ratios[rank] = (float(low), float(middle), float(high))
    off_all, on_all = (Timing.of(np.concatenate(of_mode)) for of_mode in times.values())
    return RefinementCost(off_all, on_all, ratios)


def _frame_ms(
    registrar: Registrar, visible: UInt8Image, thermal: FloatImage, frames: int
) -> NDArray[np.float64]:
    """Return the milliseconds of frames at 30 Hz, without the first ones."""
    taken = []
    for number in range(frames):
        stamp_ns = round(number * 1e9 / _RATE_HZ)
        frame = Frame(stamp_ns, "visible", visible, "rgb8")
        start = time.perf_counter()
        registrar.align(stamp_ns, frame, ThermalImage(thermal, None))
        taken.append(time.perf_counter() - start)
        time.sleep(max(0.0, 1 / _RATE_HZ - taken[-1]))
    return np.array(taken[_SKIPPED:]) * 1e3


def _still_scene() -> tuple[UInt8Image, FloatImage]:
    """Return 640x480 of smooth noise for both cameras."""
    noise = np.random.default_rng(0).random((480, 640), np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    thermal = np.asarray((smooth - smooth.min()) / np.ptp(smooth), np.float32)
    return np.repeat((255 * thermal).astype(np.uint8)[..., None], 3, axis=2), thermal


def _rig() -> Rig:
    size = [640, 480]
    homography = [[1, 0, 2], [0, 1, 1], [0, 0, 1]]
    return Rig.from_mapping({"homography": homography, "visible_size": size, "thermal_size": size})
