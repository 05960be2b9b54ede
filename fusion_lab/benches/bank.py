"""What the online update of the memory bank gains on the scene it saw, and costs on the next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Final, Literal

import numpy as np
import tyro

from fusion_core.cli.settings import Assignments
from fusion_core.config import Config
from fusion_core.errors import UsageError
from fusion_core.pipeline import Pipeline
from fusion_core.source import open_source
from fusion_core.types import FusedFrame, UInt8Image
from fusion_lab.benches.command import BenchCommand
from fusion_lab.benches.configuration import bench_config
from fusion_lab.benches.progress import with_progress
from fusion_lab.benches.tables import Cell, Table
from fusion_lab.metrics import compute_all, to_gray

_METRICS: Final = ("Qabf", "VIF", "SSIM", "EN")


@dataclass(frozen=True, slots=True)
class BankRow:
    """One scene, with the bank as trained and with what a stream made of it.

    Attributes:
        seen: Recording that the bank followed.
        scene: Recording that is fused with it.
        frames: Frames compared.
        change: Mean absolute change of the fused luma, of 255.
        trained: Mean of each metric with the bank as trained.
        adapted: The same with the bank after the stream.
    """

    seen: str
    scene: str
    frames: int
    change: float
    trained: tuple[float, ...]
    adapted: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class BankResult:
    """All scenes."""

    rows: tuple[BankRow, ...]

    def tables(self) -> Sequence[Table]:
        """Return one row for each bank and scene."""
        head = ("bank followed", "scene", "frames", "change of 255", *_METRICS)
        rows: list[tuple[Cell, ...]] = []
        for row in self.rows:
            pairs = zip(row.trained, row.adapted, strict=True)
            cells = (f"{before:.4f} {after - before:+.4f}" for before, after in pairs)
            rows.append((row.seen, row.scene, row.frames, row.change, *cells))
        return [
            Table("With the bank as trained, and the difference after a stream", head, tuple(rows))
        ]


@dataclass(frozen=True, kw_only=True)
class BankBench(BenchCommand):
    """Compare pictures with the memory bank as trained and after it followed a recording.

    Every recording is followed once with `memory.mode` online; then all of them are fused again
    with the bank frozen, as trained and as the recording left it.
    """

    recordings: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="DIR ...")]
    """Folders that hold vi.mp4 and ir.mp4, two or more."""
    model: Annotated[str, tyro.conf.arg(metavar="NAME")] = "m2pn-edge"
    """A network with a memory bank."""
    frames: Annotated[int, tyro.conf.arg(metavar="N")] = 1800
    """Frames of a recording that the bank follows, from its start."""
    every: Annotated[int, tyro.conf.arg(metavar="N")] = 30
    """Every n-th frame of them is compared."""
    settings: Assignments = ()
    """Any other setting of the pipeline; detector and prior are none when not given."""

    def measure(self) -> BankResult:
        """Follow every recording, then fuse all."""
        if len(self.recordings) < 2 or min(self.frames, self.every) < 1:
            raise UsageError("give two --recordings or more, and --frames and --every from 1")
        config = bench_config(self.settings, self.model, detector="none", prior="none")
        config = replace(config, scene_memory=replace(config.scene_memory, mode="off"))
        rows = []
        trained = {folder: self._pictures(config, folder, "") for folder in self.recordings}
        with TemporaryDirectory() as scratch:
            for number, seen in enumerate(with_progress(self.recordings, "recordings")):
                file = str(Path(scratch) / f"{number}.bank")
                for _ in self._fused(_with_bank(config, "online", file), seen):
                    pass
                for scene, before in trained.items():
                    after = self._pictures(config, scene, file)
                    rows.append(_row(seen, scene, before, after))
        return BankResult(tuple(rows))

    def _pictures(self, config: Config, folder: Path, file: str) -> list[_Compared]:
        fused = self._fused(_with_bank(config, "frozen", file), folder)
        return [_compared(result) for result in fused if result.frame % self.every == 0]

    def _fused(self, config: Config, folder: Path) -> Iterator[FusedFrame]:
        visible, thermal = (str(folder / name) for name in ("vi.mp4", "ir.mp4"))
        with (
            open_source(visible=visible, thermal=thermal) as source,
            Pipeline(config) as pipeline,
        ):
            yield from islice(pipeline.stream(source), self.frames)


@dataclass(frozen=True, slots=True, eq=False)
class _Compared:
    luma: UInt8Image
    scores: tuple[float, ...]


def _compared(result: FusedFrame) -> _Compared:
    """Score a result against what was fused."""
    assert result.aligned.visible is not None, "both cameras are there"
    assert result.aligned.thermal is not None, "both cameras are there"
    luma, visible = to_gray(result.image), to_gray(result.aligned.visible)
    thermal = np.rint(result.aligned.thermal * 255).astype(np.uint8)
    found = compute_all(luma, (thermal, visible), _METRICS)
    return _Compared(luma, tuple(found[name] for name in _METRICS))


def _with_bank(config: Config, mode: Literal["frozen", "online"], file: str) -> Config:
    return replace(config, memory=replace(config.memory, mode=mode, file=file))


def _row(seen: Path, scene: Path, before: list[_Compared], after: list[_Compared]) -> BankRow:
    pairs = list(zip(before, after, strict=True))
    changes = [np.abs(a.luma.astype(int) - b.luma).mean() for a, b in pairs]
    means = [
        tuple(map(float, np.mean([one.scores for one in ones], axis=0))) for ones in (before, after)
    ]
    return BankRow(seen.name, scene.name, len(pairs), float(np.mean(changes)), *means)
