"""The bench of registration: options and parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

import cv2
import tyro

from fusion_core.errors import UsageError
from fusion_lab.benches.command import BenchCommand
from fusion_lab.benches.pictures import read_pictures
from fusion_lab.benches.progress import with_progress
from fusion_lab.benches.registration.confidence import ConfidenceFigures, measure_confidence
from fusion_lab.benches.registration.cost import (
    RefinementCost,
    measure_refinement,
    measure_warp,
    warp_table,
)
from fusion_lab.benches.registration.deformed import (
    DeformedFigures,
    measure_deformed,
    read_deformed,
)
from fusion_lab.benches.registration.homographies import (
    HomographyFigures,
    homography_table,
    measure_homographies,
)
from fusion_lab.benches.registration.moving import StreamErrors, measure_videos, stream_table
from fusion_lab.benches.tables import Table
from fusion_lab.benches.timing import Timing
from fusion_lab.data import Example

Part = Literal["warp", "refinement", "deformed", "homographies", "confidence", "streams"]
SetName = Literal["roadscene/val", "msrs", "llvip", "video_frames"]
SETS: tuple[SetName, ...] = get_args(SetName)


@dataclass(frozen=True, slots=True)
class RegistrationResult:
    """Figures of the parts that were run.

    Attributes:
        warp: Part -> process time at 640x480.
        refinement: The frame path with and without refinement.
        deformed: Known deformations.
        homographies: Known homographies.
        confidence: Confidence of right and wrong registrations.
        streams: Streams whose misalignment changes.
    """

    warp: Mapping[str, Timing] | None = None
    refinement: RefinementCost | None = None
    deformed: DeformedFigures | None = None
    homographies: tuple[HomographyFigures, ...] = ()
    confidence: ConfidenceFigures | None = None
    streams: tuple[StreamErrors, ...] = ()

    def tables(self) -> Sequence[Table]:
        """Return the tables of the parts."""
        tables: list[Table] = []
        if self.warp:
            tables.append(warp_table(self.warp))
        if self.refinement:
            tables += self.refinement.tables()
        if self.deformed:
            tables.append(self.deformed.table())
        if self.homographies:
            tables.append(homography_table(self.homographies))
        if self.confidence:
            tables.append(self.confidence.table())
        if self.streams:
            tables.append(stream_table(self.streams))
        return tables


@dataclass(frozen=True, kw_only=True)
class RegistrationBench(BenchCommand):
    """Measure the registration on recordings, beside other methods.

    `deformed` has known smooth deformations, `homographies` two random homographies per pair by day
    and by night, `confidence` separates right from wrong registrations, `streams` follows a drift
    and a step through registered videos, `warp` is the cost of the frame path and `refinement` that
    of the refinement beside it. OpenCV runs with one thread.
    """

    parts: tyro.conf.Positional[tuple[Part, ...]] = ()
    """Parts to run; all when not given."""
    data: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Folder that holds registration/, video/ and the sets; not needed for warp and refinement."""
    sets: tuple[SetName, ...] = SETS
    """Sets of pairs below the folder."""
    every: Annotated[int, tyro.conf.arg(metavar="N")] = 1
    """Take every n-th pair of the sets only."""

    def measure(self) -> RegistrationResult:
        """Run the parts."""
        parts = self.parts or get_args(Part)
        with _one_thread():
            return RegistrationResult(
                warp=measure_warp() if "warp" in parts else None,
                refinement=measure_refinement() if "refinement" in parts else None,
                deformed=(
                    measure_deformed(read_deformed(self._folder("registration")))
                    if "deformed" in parts
                    else None
                ),
                homographies=self._homographies() if "homographies" in parts else (),
                confidence=self._confidence() if "confidence" in parts else None,
                streams=self._streams() if "streams" in parts else (),
            )

    def _folder(self, name: str) -> Path:
        if self.data is None:
            raise UsageError("registration is measured on recordings: give their folder by --data")
        return self.data / name

    def _homographies(self) -> tuple[HomographyFigures, ...]:
        found: list[HomographyFigures] = []
        for name in self.sets:
            pairs = with_progress(self._pairs(name, self.every), name)
            found += measure_homographies(name, pairs)
        return tuple(found)

    def _confidence(self) -> ConfidenceFigures:
        following = dict(zip(SETS, (*SETS[1:], SETS[0]), strict=True))
        return measure_confidence(
            [(self._pairs(name, self.every), self._pairs(following[name], 1)) for name in self.sets]
        )

    def _pairs(self, name: SetName, every: int) -> list[Example]:
        return list(read_pictures(self._folder(name), every))

    def _streams(self) -> tuple[StreamErrors, ...]:
        folders = sorted(path.parent for path in self._folder("video").glob("*/vi.mp4"))
        return measure_videos(folders)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let OpenCV work in the calling thread, so that process time is the cost of one core."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
