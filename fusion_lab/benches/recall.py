"""What the scene memory shows of a background that smoke hides, against the true background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Final

import cv2
import numpy as np
import tyro

from fusion_core.cli.settings import Assignments
from fusion_core.config import Config
from fusion_core.errors import SourceError, UsageError
from fusion_core.pipeline import Pipeline
from fusion_core.source import open_source
from fusion_core.types import FloatImage, Mask, UInt8Image
from fusion_lab.benches.command import BenchCommand
from fusion_lab.benches.configuration import bench_config
from fusion_lab.benches.tables import Table

_EVERY: Final = 5
# Grey levels: the visible luma differs by more where smoke hides; thermal by less where nothing
# moves. Frames with less hidden than this share are not counted.
_HIDDEN, _STILL, _SMOKY_SHARE = 20, 12, 0.1
_DETAIL_SIGMA = 7.0


@dataclass(frozen=True, slots=True)
class RecallRow:
    """One stream of pictures against the clear background, where smoke hides it.

    Attributes:
        name: The stream.
        psnr: Mean over the smoky frames, in dB.
        detail: Mean correlation of the luma less its 15-pixel blur with that of the background.
        recalled: Mean share of the picture that was recalled, in [0, 1].
    """

    name: str
    psnr: float
    detail: float
    recalled: float


@dataclass(frozen=True, slots=True)
class RecallResult:
    """All streams.

    Attributes:
        frames: Smoky frames counted.
        hidden: Mean share of the picture that counts in them.
        rows: The streams.
    """

    frames: int
    hidden: float
    rows: tuple[RecallRow, ...]

    def tables(self) -> Sequence[Table]:
        """Return one row for each stream."""
        title = f"{self.frames} smoky frames, {100 * self.hidden:.0f} % of the picture"
        head = ("stream", "PSNR in dB", "detail", "recalled")
        rows = tuple((row.name, row.psnr, row.detail, row.recalled) for row in self.rows)
        return [Table(title, head, rows)]


@dataclass(frozen=True, kw_only=True)
class RecallBench(BenchCommand):
    """Compare fused pictures with and without scene memory to a background that smoke hides.

    The camera must stand still, and some frames must be clear: their median is the reference. A
    pixel counts in a frame where the visible picture differs from it and thermal is as usual.
    """

    visible: Annotated[str, tyro.conf.arg(metavar="SRC")] = ""
    """Visible stream, as for `fusion run`."""
    thermal: Annotated[str, tyro.conf.arg(metavar="SRC")] = ""
    """Thermal stream."""
    clear: tuple[int, int] = (0, 0)
    """First clear frame, and the first that is no longer clear."""
    model: Annotated[str, tyro.conf.arg(metavar="NAME")] = "m2pn-edge"
    """Model that fuses."""
    settings: Assignments = ()
    """Any other setting of the pipeline; detector is none when not given."""

    def measure(self) -> RecallResult:
        """Run the pipeline without memory, with it, and again with what it remembers then."""
        if not (self.visible and self.thermal) or self.clear[0] >= self.clear[1]:
            raise UsageError("give --visible SRC, --thermal SRC and --clear FROM TO")
        config = bench_config(self.settings, self.model, detector="none")
        background = _Background.read(self.visible, self.thermal, self.clear)
        rows = [background.score("visible", background.lumas, [])]
        off = replace(config, scene_memory=replace(config.scene_memory, mode="off"))
        with TemporaryDirectory() as folder:
            kept = replace(config.memory, mode="frozen", file=str(Path(folder) / "bank"))
            on = replace(config, memory=kept)
            for name, settings in (("fused", off), ("with memory", on), ("second time", on)):
                rows.append(background.score(name, *self._fused(settings)))
        return RecallResult(len(background.hidden), background.share, tuple(rows))

    def _fused(self, config: Config) -> tuple[list[FloatImage], list[float]]:
        lumas, shares = [], []
        with (
            open_source(visible=self.visible, thermal=self.thermal) as source,
            Pipeline(config) as pipeline,
        ):
            for result in pipeline.stream(source):
                if result.frame % _EVERY == 0:
                    lumas.append(_luma(result.image))
                    shares.append(result.recalled.share if result.recalled else 0.0)
        return lumas, shares


@dataclass(frozen=True, slots=True)
class _Background:
    """The clear background, every fifth visible luma, and where each of them is hidden."""

    luma: FloatImage
    lumas: list[FloatImage]
    hidden: dict[int, Mask]

    @property
    def share(self) -> float:
        return float(np.mean([mask.mean() for mask in self.hidden.values()]))

    @classmethod
    def read(cls, visible: str, thermal: str, clear: tuple[int, int]) -> _Background:
        """Read both streams.

        Raises:
            SourceError: There is no clear or no smoky frame.
        """
        lumas, heat, clean = [], [], []
        with open_source(visible=visible, thermal=thermal) as source:
            for frame in source.frames():
                if frame.modality == "thermal":
                    if frame.sequence % _EVERY == 0:
                        heat.append(frame.image.astype(np.float32))
                    continue
                luma = _luma(frame.image)
                if clear[0] <= frame.sequence < clear[1]:
                    clean.append(luma)
                if frame.sequence % _EVERY == 0:
                    lumas.append(luma)
        if not clean:
            raise SourceError(f"{visible}: has no frames {clear[0]} to {clear[1]}")
        background = np.median(np.stack(clean), 0).astype(np.float32)
        usual = np.median(np.stack(heat), 0)
        hidden = {}
        for index, (luma, image) in enumerate(zip(lumas, heat, strict=False)):
            veil = np.abs(cv2.GaussianBlur(luma - background, (0, 0), 3)) > _HIDDEN
            mask = veil & (np.abs(image - usual) < _STILL)
            if mask.mean() >= _SMOKY_SHARE:
                hidden[index] = mask
        if not hidden:
            raise SourceError(f"{visible}: smoke hides a tenth of the picture in no frame")
        return cls(background, lumas, hidden)

    def score(self, name: str, lumas: Sequence[FloatImage], shares: Sequence[float]) -> RecallRow:
        """Compare every smoky picture to the background."""
        detail = _detail(self.luma)
        psnr, correlation = [], []
        for index, mask in self.hidden.items():
            error = float(((lumas[index] - self.luma)[mask] ** 2).mean())
            psnr.append(10 * np.log10(255**2 / max(error, 1e-9)))
            pair = np.corrcoef(_detail(lumas[index])[mask], detail[mask])
            correlation.append(float(pair[0, 1]))
        recalled = float(np.mean([shares[index] for index in self.hidden])) if shares else 0.0
        return RecallRow(name, float(np.mean(psnr)), float(np.mean(correlation)), recalled)


def _luma(image: UInt8Image) -> FloatImage:
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)


def _detail(luma: FloatImage) -> FloatImage:
    result: FloatImage = luma - cv2.GaussianBlur(luma, (0, 0), _DETAIL_SIGMA)
    return result
