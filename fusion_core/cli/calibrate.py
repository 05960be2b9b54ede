"""``fusion calibrate``: a rig file from a recording, or from other tools' files."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from fusion_core.errors import UsageError

if TYPE_CHECKING:
    from tqdm import tqdm

    from fusion_core.calibration.recording import GrayFrames
    from fusion_core.calibration.scene import Kind
    from fusion_core.registration import Rig
    from fusion_core.source import Source

_LARGEST_OFFSET_MS = 1e13  # as in a rig file
_Argument = tyro.conf.arg


@dataclass(frozen=True)
class Calibrate:
    """Calibrate a visible and a thermal camera that are fixed to each other.

    From a recording in which a board is moved before both cameras: --target, SRC and BAG as in
    `fusion run`. From other tools' files: --import-kalibr, or --import-camera-info with --pose.
    Without a board: --scene finds one homography for a far or flat scene; --rig measures only the
    time offset of a rig anew, from any motion both cameras see.
    SPEC is chessboard:COLUMNSxROWS:SQUARE (inner corners), circles:COLUMNSxROWS:SPACING
    (asymmetric), charuco:COLUMNSxROWS:SQUARE:MARKER[:DICTIONARY] (squares) or
    aprilgrid:COLUMNSxROWS:TAG:GAP; lengths in metres.
    """

    visible: Annotated[str | None, _Argument(metavar="SRC")] = None
    """Visible stream."""
    thermal: Annotated[str | None, _Argument(metavar="SRC")] = None
    """Thermal stream."""
    bag: Annotated[str | None, _Argument(metavar="BAG")] = None
    """A ROS 1 or ROS 2 bag that holds both streams."""
    visible_topic: Annotated[str | None, _Argument(metavar="T")] = None
    """Topic of the visible images in the bag or the camchain; by name when not given."""
    thermal_topic: Annotated[str | None, _Argument(metavar="T")] = None
    """Topic of the thermal images in the bag or the camchain; by name when not given."""
    target: Annotated[str | None, _Argument(metavar="SPEC")] = None
    """The board that the recording shows."""
    scene: Literal["homography", "affine"] | None = None
    """Estimate a map of this kind from the outlines that both cameras see."""
    rig: Annotated[Path | None, _Argument(metavar="RIG.yaml")] = None
    """Measure only the time offset anew, from the motion in the recording, and keep the rest."""
    import_kalibr: Annotated[Path | None, _Argument(metavar="CAMCHAIN.yaml")] = None
    """Take both cameras, their pose and their clocks from Kalibr's result."""
    import_camera_info: Annotated[
        tuple[Path, Path] | None, _Argument(metavar="VISIBLE.yaml THERMAL.yaml")
    ] = None
    """Take the intrinsics from ROS camera_info files; the pose from --target or --pose."""
    pose: Annotated[
        tuple[float, float, float, float, float, float, float] | None,
        _Argument(metavar="X Y Z QX QY QZ QW"),
    ] = None
    """As `tf2_echo THERMAL_OPTICAL_FRAME RGB_OPTICAL_FRAME` prints it, in metres."""
    time_offset: Annotated[float | None, _Argument(metavar="MS")] = None
    """Added to thermal stamps, in milliseconds; measured when not given."""
    reference_depth: Annotated[float, _Argument(metavar="M")] = 10.0
    """Distance in metres at which the fused images are registered exactly."""
    monochrome: bool = False
    """The visible camera has no colour."""
    thermal_crop: Annotated[str, _Argument(metavar="PART")] = ""
    """As the setting thermal.crop: upper, lower or x,y,w,h."""
    yuyv_counts: bool = False
    """As the setting thermal.yuyv_counts."""
    out: Annotated[Path | None, _Argument(metavar="RIG.yaml")] = None
    """Rig file to write."""
    report: Annotated[Path | None, _Argument(metavar="FILE.html")] = None
    """Write one self-contained page with points, residuals and blends."""
    print_target: Annotated[Path | None, _Argument(metavar="FILE.svg")] = None
    """Only write the board of --target as a drawing in true size."""
    force: bool = False
    """Replace files that exist."""

    def run(self) -> int:
        """Calibrate, write the rig, and print its residuals."""
        self._check()
        from fusion_core.cli.rigs import draw_target, print_rig

        if self.print_target is not None:
            return draw_target(self.target, self.print_target)
        rig, write_report = self._rig()
        assert self.out is not None
        rig.save(self.out)
        write_report()
        print_rig(rig)
        print(f"written  {', '.join(str(path) for path in (self.out, self.report) if path)}")
        return 0

    def _check(self) -> None:
        """Raise for arguments that contradict each other, before work starts."""
        from fusion_core.thermal import ThermalConfig

        ThermalConfig(crop=self.thermal_crop)
        if self.print_target is None and self.out is None:
            raise UsageError("nothing to write: give --out RIG.yaml, or --print-target FILE.svg")
        for path in (self.out, self.report, self.print_target):
            if path is not None and path.exists() and not self.force:
                raise UsageError(f"{path} exists; give --force to replace it, or another name")
        self._check_paths()
        ways = {
            "--target": self.target,
            "--scene": self.scene,
            "--rig": self.rig,
            "--import-kalibr": self.import_kalibr,
            "--import-camera-info with --pose": self.import_camera_info and self.pose,
        }
        chosen = [name for name, given in ways.items() if given]
        if len(chosen) != 1:
            raise UsageError(f"give one of {', '.join(ways)}; got {' and '.join(chosen) or 'none'}")
        if not 0 < self.reference_depth < math.inf:
            raise UsageError(f"--reference-depth {self.reference_depth:g}: must be above 0 metres")
        if self.time_offset is not None and not abs(self.time_offset) <= _LARGEST_OFFSET_MS:
            raise UsageError(
                f"--time-offset {self.time_offset:g}: must lie within {_LARGEST_OFFSET_MS:g} ms"
            )
        if self.report is not None:
            self._check_report()

    def _check_report(self) -> None:
        from fusion_core.pages import require_page_packages

        if not (self.target or self.scene or self.rig):
            raise UsageError("--report shows a recording: it needs --target, --scene or --rig")
        require_page_packages("--report")

    def _rig(self) -> tuple[Rig, Callable[[], None]]:
        """Return the rig, and what writes its report."""
        from fusion_core.calibration.imports import (
            read_camera_infos,
            rig_from_kalibr,
            rig_from_pose,
        )

        if self.target is not None:
            return self._from_board()
        if self.scene is not None:
            return self._from_scene(self.scene)
        if self.rig is not None:
            return self._retimed(self.rig)
        if self.import_kalibr is not None:
            rig = rig_from_kalibr(
                self.import_kalibr, self.visible_topic, self.thermal_topic, self.reference_depth
            )
        else:
            assert self.pose is not None
            rig = rig_from_pose(
                read_camera_infos(self.import_camera_info), self.pose, self.reference_depth
            )
        if self.time_offset is not None:
            rig = replace(rig, thermal_offset_ms=self.time_offset)
        return rig, _no_report

    def _from_board(self) -> tuple[Rig, Callable[[], None]]:
        """Calibrate from a recording of a board."""
        from fusion_core.calibration.imports import read_camera_infos
        from fusion_core.calibration.recording import track_target
        from fusion_core.calibration.result import rig_from_board
        from fusion_core.calibration.solve import calibrate
        from fusion_core.calibration.targets import Target

        target, cameras = (
            Target.parse(self.target or ""),
            read_camera_infos(self.import_camera_info),
        )
        with self._open() as source, _bar(source) as bar:
            tracks = track_target(self._gray_frames(source), target, bar.update)
        calibration = calibrate(target, tracks, cameras=cameras, offset_ms=self.time_offset)
        rig = rig_from_board(calibration, self.reference_depth)

        def write_report() -> None:
            if self.report is None:
                return
            from fusion_core.calibration.report import board_plots, write_page
            from fusion_core.calibration.report_pictures import board_rows

            with self._open() as source:
                frames = self._gray_frames(source)
                rows = board_rows(calibration, tracks, frames, rig)
            write_page(self.report, rig, rows, board_plots(calibration, tracks))

        return rig, write_report

    def _from_scene(self, kind: Kind) -> tuple[Rig, Callable[[], None]]:
        """Calibrate from whatever the recording shows."""
        from fusion_core.calibration.result import rig_from_scene
        from fusion_core.calibration.scene import fit_scene, sample_scene

        offset_ms = self.time_offset or 0.0
        with self._open() as source, _bar(source) as bar:
            frames = self._gray_frames(source)
            samples = sample_scene(frames, offset_ms, bar.update)
        rig = rig_from_scene(samples, fit_scene(samples, kind), offset_ms, kind)

        def write_report() -> None:
            if self.report is None:
                return
            from fusion_core.calibration.report import write_page
            from fusion_core.calibration.report_pictures import scene_rows

            write_page(self.report, rig, scene_rows(samples, rig), [])

        return rig, write_report

    def _retimed(self, path: Path) -> tuple[Rig, Callable[[], None]]:
        """Return a rig with its time offset measured anew."""
        from fusion_core.calibration.motion import motion_offset
        from fusion_core.calibration.result import with_time_offset
        from fusion_core.registration import Rig

        rig = Rig.load(path)
        with self._open() as source, _bar(source) as bar:
            time_offset, sizes = motion_offset(self._gray_frames(source), bar.update)
        rig = with_time_offset(rig, time_offset, sizes, str(path))

        def write_report() -> None:
            if self.report is None:
                return
            from fusion_core.calibration.report import time_offset_plots, write_page

            write_page(self.report, rig, [], time_offset_plots(time_offset))

        return rig, write_report

    def _gray_frames(self, source: Source) -> GrayFrames:
        from fusion_core.calibration.recording import gray_frames

        return gray_frames(source, monochrome=self.monochrome, thermal_crop=self.thermal_crop)

    def _open(self) -> Source:
        from fusion_core.source import open_source

        return open_source(
            self.bag,
            visible=self.visible,
            thermal=self.thermal,
            visible_topic=self.visible_topic,
            thermal_topic=self.thermal_topic,
            packed_counts=self.yuyv_counts,
        )

    def _check_paths(self) -> None:
        """Refuse outputs that would destroy an input; ``--rig`` may be rewritten in place."""
        from fusion_core.runtime.overlap import refuse_overlap

        streams = (self.visible, self.thermal, self.bag)
        inputs = [Path(path) for path in streams if path and "://" not in path]
        inputs += [*(self.import_camera_info or ()), *filter(None, [self.import_kalibr])]
        others = [path for path in (self.report, self.print_target) if path]
        refuse_overlap(inputs, filter(None, (self.out, *others)))
        refuse_overlap(filter(None, [self.rig]), others)


def _bar(source: Source) -> tqdm[None]:
    from tqdm import tqdm

    total = None if source.total is None else 2 * source.total
    return tqdm(total=total, unit="frame", desc="looking", dynamic_ncols=True)


def _no_report() -> None:
    """Nothing was recorded that could be shown."""
