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
_FAR: Final = 41  # edge in pixels of the square around a place in which nothing may move


@dataclass(frozen=True, slots=True)
class RecallRow:
    """One stream of pictures against the clear background, where smoke hides it.

    Attributes:
        name: The stream.
        psnr: Mean over the smoky frames, in dB.
        detail: Mean correlation of the luma less its 15-pixel blur with that of the background.
        far: The same where nothing moves within 20 pixels, so that the rim of a person who stands
            out does not count as detail of the background.
        chroma: Mean PSNR of Cb and Cr, in dB.
        recalled: Mean share of the picture that was recalled, in [0, 1].
    """

    name: str
    psnr: float
    detail: float
    far: float
    chroma: float
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
        head = ("stream", "PSNR in dB", "detail", "far from motion", "chroma in dB", "recalled")
        rows = tuple((r.name, r.psnr, r.detail, r.far, r.chroma, r.recalled) for r in self.rows)
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
        rows = [background.score("visible", background.pictures, [])]
        off = replace(config, scene_memory=replace(config.scene_memory, mode="off"))
        with TemporaryDirectory() as folder:
            kept = replace(config.memory, mode="frozen", file=str(Path(folder) / "bank"))
            on = replace(config, memory=kept)
            for name, settings in (("fused", off), ("with memory", on), ("second time", on)):
                rows.append(background.score(name, *self._fused(settings)))
        return RecallResult(len(background.hidden), background.share, tuple(rows))

    def _fused(self, config: Config) -> tuple[list[FloatImage], list[float]]:
        pictures, shares = [], []
        with (
            open_source(visible=self.visible, thermal=self.thermal) as source,
            Pipeline(config) as pipeline,
        ):
            for result in pipeline.stream(source):
                if result.frame % _EVERY == 0:
                    pictures.append(_planes(result.image))
                    shares.append(result.recalled.share if result.recalled else 0.0)
        return pictures, shares


@dataclass(frozen=True, slots=True)
class _Background:
    """The clear background, every fifth visible picture, and where each of them is hidden, and far.

    Pictures are ``HxWx3``, Y, Cr and Cb of 255.
    """

    planes: FloatImage
    pictures: list[FloatImage]
    hidden: dict[int, Mask]
    far: dict[int, Mask]

    @property
    def share(self) -> float:
        return float(np.mean([mask.mean() for mask in self.hidden.values()]))

    @classmethod
    def read(cls, visible: str, thermal: str, clear: tuple[int, int]) -> _Background:
        """Read both streams.

        Raises:
            SourceError: There is no clear or no smoky frame.
        """
        pictures, heat, clean = [], [], []
        with open_source(visible=visible, thermal=thermal) as source:
            for frame in source.frames():
                if frame.modality == "thermal":
                    if frame.sequence % _EVERY == 0:
                        heat.append(frame.image.astype(np.float32))
                    continue
                planes = _planes(frame.image)
                if clear[0] <= frame.sequence < clear[1]:
                    clean.append(planes)
                if frame.sequence % _EVERY == 0:
                    pictures.append(planes)
        if not clean:
            raise SourceError(f"{visible}: has no frames {clear[0]} to {clear[1]}")
        background = np.median(np.stack(clean), 0).astype(np.float32)
        usual = np.median(np.stack(heat), 0)
        hidden, far = {}, {}
        for index, (planes, image) in enumerate(zip(pictures, heat, strict=False)):
            change = planes[..., 0] - background[..., 0]
            veil = np.abs(cv2.GaussianBlur(change, (0, 0), 3)) > _HIDDEN
            still = np.abs(image - usual) < _STILL
            mask = veil & still
            if mask.mean() >= _SMOKY_SHARE:
                hidden[index] = mask
                around = cv2.erode(still.astype(np.uint8), np.ones((_FAR, _FAR), np.uint8))
                far[index] = mask & (around > 0)
        if not hidden:
            raise SourceError(f"{visible}: smoke hides a tenth of the picture in no frame")
        return cls(background, pictures, hidden, far)

    def score(
        self, name: str, pictures: Sequence[FloatImage], shares: Sequence[float]
    ) -> RecallRow:
        """Compare every smoky picture to the background."""
        detail = _detail(self.planes)
        psnr, chroma = [], []
        correlation: dict[bool, list[float]] = {False: [], True: []}
        for index, mask in self.hidden.items():
            squares = ((pictures[index] - self.planes)[mask] ** 2).mean(0)
            psnr.append(_decibels(squares[0]))
            chroma.append(_decibels(squares[1:].mean()))
            shown = _detail(pictures[index])
            for only_far, where in ((False, mask), (True, self.far[index])):
                if np.count_nonzero(where) > 1:
                    pair = np.corrcoef(shown[where], detail[where])
                    correlation[only_far].append(float(pair[0, 1]))
        recalled = float(np.mean([shares[index] for index in self.hidden])) if shares else 0.0
        near, far = (float(np.mean(correlation[only_far])) for only_far in (False, True))
        means = float(np.mean(psnr)), near, far, float(np.mean(chroma))
        return RecallRow(name, *means, recalled)


def _planes(image: UInt8Image) -> FloatImage:
    return cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb).astype(np.float32)


def _decibels(square: float) -> float:
    return float(10 * np.log10(255**2 / max(square, 1e-9)))


def _detail(planes: FloatImage) -> FloatImage:
    luma = planes[..., 0]
    result: FloatImage = luma - cv2.GaussianBlur(luma, (0, 0), _DETAIL_SIGMA)
    return result
