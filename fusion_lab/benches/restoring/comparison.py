"""How close fused pictures of degraded scenes come to what they would be in clear weather."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.types import UInt8Image
from fusion_lab.benches.restoring.methods import Method
from fusion_lab.benches.restoring.pictures import GROUPS, CleanPicture, DegradedPicture
from fusion_lab.benches.tables import Cell, Table
from fusion_lab.metrics import compute_all, to_gray
from fusion_lab.metrics.fidelity import psnr_to
from fusion_lab.metrics.structural import ms_ssim_to, ssim_to

_LEAST_ERROR = 1e-3
_LARGEST_DB = float(10 * np.log10(255**2 / _LEAST_ERROR))
_LIKENESS: Final = ("PSNR, dB", "SSIM", "MS-SSIM", "gradient correlation")
OWN: Final = "to the same method's picture of the clean pair"
RESTORED: Final = "of the restored visible luma to the clean one"
BOTH: Final = "to both clean sources"
FIGURES: Final = (
    *(f"{name} {OWN}" for name in _LIKENESS),
    *(f"{name} {RESTORED}" for name in _LIKENESS),
    f"PSNR, dB {BOTH}",
    f"SSIM, sum, {BOTH}",
    "PSNR of the chroma, dB, to the clean one",
)
"""What is measured, in the order of the scores of a picture."""

Scores = Sequence[float]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Scores of several methods on the same pictures.

    Attributes:
        counts: Group -> number of pictures.
        scores: Method -> group -> ``FIGURES`` of each picture, in one order for all methods; nan
            where a method has none.
    """

    counts: Mapping[str, int]
    scores: Mapping[str, Mapping[str, NDArray[np.float64]]]

    def tables(self) -> list[Table]:
        """Return a table per figure, and how far the first method is ahead by the PSNRs."""
        tables = [
            self._table(title, place, [*self.scores], self._own, _spread)
            for place, title in enumerate(FIGURES)
        ]
        first, *others = self.scores
        ahead = [
            self._table(f"{first} ahead by, {title}", place, others, self._lead, _standard_error)
            for place, title in enumerate(FIGURES)
            if title.startswith("PSNR")
        ]
        return tables + ahead

    def _own(self, method: str, group: str) -> NDArray[np.float64]:
        return self.scores[method][group]

    def _lead(self, method: str, group: str) -> NDArray[np.float64]:
        """Return the first method's scores less those of another, picture by picture."""
        return next(iter(self.scores.values()))[group] - self.scores[method][group]

    def _table(
        self,
        title: str,
        place: int,
        methods: Sequence[str],
        values: Callable[[str, str], NDArray[np.float64]],
        doubt: Callable[[NDArray[np.float64]], float],
    ) -> Table:
        """Return mean and doubt of one figure, one column per group."""
        rows: list[tuple[Cell, ...]] = []
        for method in methods:
            found = [values(method, group)[:, place] for group in self.counts]
            if not all(np.isnan(column).all() for column in found):
                digits = 2 if FIGURES[place].startswith("PSNR") else 3
                rows.append((method, *(_cell(column, doubt(column), digits) for column in found)))
        columns = tuple(f"{group} ({count})" for group, count in self.counts.items())
        return Table(title, ("method", *columns), tuple(rows))


def _spread(values: NDArray[np.float64]) -> float:
    """Return the standard deviation over the pictures."""
    return float(np.std(values))


def _standard_error(values: NDArray[np.float64]) -> float:
    """Return the standard error of the mean; nan of one picture."""
    count = len(values)
    return float(np.std(values, ddof=1) / np.sqrt(count)) if count > 1 else float("nan")


def _cell(values: NDArray[np.float64], doubt: float, digits: int) -> str:
    mean = float(np.mean(values))
    return "–" if np.isnan(mean) else f"{mean:.{digits}f} ± {doubt:.{digits}f}"


def compare(methods: Mapping[str, Method], pictures: Iterable[DegradedPicture]) -> Comparison:
    """Score every method on every picture."""
    rows: dict[str, dict[str, list[Scores]]] = {name: {} for name in methods}
    clean: CleanPicture | None = None
    own: dict[str, UInt8Image] = {}
    for picture in pictures:
        if picture.clean is not clean:
            clean = picture.clean
            own = {name: m.fuse(clean.pair, clean.prior) for name, m in methods.items()}
        for name, method in methods.items():
            rows[name].setdefault(picture.group, []).append(score(method, picture, own[name]))
    first = next(iter(rows.values()), {})
    counts = {group: len(first[group]) for group in GROUPS if group in first}
    scores = {
        name: {group: np.array(entries) for group, entries in by_group.items()}
        for name, by_group in rows.items()
    }
    return Comparison(counts, scores)


def score(method: Method, picture: DegradedPicture, own: UInt8Image) -> Scores:
    """Return the ``FIGURES`` of a method on one picture.

    Args:
        method: What is scored.
        picture: The degraded picture.
        own: What the method makes of the clean pair, ``HxWx3`` RGB.
    """
    fused, clean = method.fuse(picture.pair, picture.prior), picture.clean
    luma = to_gray(clean.visible)
    restored: Scores = (float("nan"),) * len(_LIKENESS)
    if method.restore is not None:
        restored = _likeness(to_gray(method.restore(picture.pair, picture.prior)), luma)
    both = compute_all(to_gray(fused), (clean.thermal, luma), ("PSNR", "SSIM"))
    chroma = _chroma_psnr_db(fused, clean.visible)
    own_likeness = _likeness(to_gray(fused), to_gray(own))
    return (*own_likeness, *restored, both["PSNR"], both["SSIM"], chroma)


def _likeness(picture: UInt8Image, reference: UInt8Image) -> Scores:
    """Return how like two ``HxW`` pictures are, by each of ``_LIKENESS``."""
    return (
        min(psnr_to(picture, reference), _LARGEST_DB),
        ssim_to(picture, reference),
        ms_ssim_to(picture, reference),
        _gradient_correlation(picture, reference),
    )


def _gradient_correlation(picture: UInt8Image, reference: UInt8Image) -> float:
    """Return Pearson's correlation of both pictures' Sobel gradients, both directions together."""
    x, y = (
        np.stack([cv2.Sobel(p, cv2.CV_64F, *way) for way in ((1, 0), (0, 1))]).ravel()
        for p in (picture, reference)
    )
    size = np.linalg.norm(x) * np.linalg.norm(y)
    return float(x @ y / size) if size > 0 else float("nan")


def _chroma_psnr_db(fused: UInt8Image, clean: UInt8Image) -> float:
    ours, theirs = (
        cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)[..., 1:].astype(np.float64)
        for image in (fused, clean)
    )
    error = max(float(np.mean((ours - theirs) ** 2)), _LEAST_ERROR)
    return float(10 * np.log10(255**2 / error))
