"""How close fused pictures of degraded scenes come to the clean sources."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from fusion_core.models import load_model, load_weights
from fusion_core.types import AlignedPair, ScenePrior, UInt8Image
from fusion_lab.benches.networks import FusePair, pair_fuser
from fusion_lab.benches.pictures import aligned_pair
from fusion_lab.benches.restoring.pictures import GROUPS, DegradedPicture
from fusion_lab.benches.tables import Table
from fusion_lab.metrics import compute_all, to_gray
from fusion_lab.training.restoring.restorer import Restorer

_LEAST_ERROR = 1e-3


@dataclass(frozen=True, slots=True)
class RestorationScores:
    """Scores of one fused picture, or means over a group.

    Attributes:
        psnr_db: PSNR to both clean sources.
        ssim: Sum of the SSIM to both.
        chroma_psnr_db: PSNR of Cb and Cr to the clean visible picture.
    """

    psnr_db: float
    ssim: float
    chroma_psnr_db: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Scores of several methods on the same pictures.

    Attributes:
        counts: Group -> number of pictures.
        means: Method -> group -> mean scores.
    """

    counts: Mapping[str, int]
    means: Mapping[str, Mapping[str, RestorationScores]]

    def tables(self) -> list[Table]:
        """Return one table per score, one column per group."""
        titles = {"psnr_db": "PSNR, dB", "ssim": "SSIM, sum", "chroma_psnr_db": "Chroma PSNR, dB"}
        columns = tuple(f"{group} ({count})" for group, count in self.counts.items())
        tables = []
        for name, title in titles.items():
            rows = tuple(
                (method, *(getattr(by_group[group], name) for group in self.counts))
                for method, by_group in self.means.items()
            )
            tables.append(Table(title, ("method", *columns), rows, digits=3))
        return tables


def compare(methods: Mapping[str, FusePair], pictures: Iterable[DegradedPicture]) -> Comparison:
    """Score every method on every picture."""
    rows: dict[str, dict[str, list[RestorationScores]]] = {name: {} for name in methods}
    for picture in pictures:
        for name, fuse in methods.items():
            scores = score(fuse(picture.pair, picture.prior), picture)
            rows[name].setdefault(picture.group, []).append(scores)
    first = next(iter(rows.values()), {})
    counts = {group: len(first[group]) for group in GROUPS if group in first}
    means = {
        name: {group: _mean(entries) for group, entries in by_group.items()}
        for name, by_group in rows.items()
    }
    return Comparison(counts, means)


def score(fused: UInt8Image, picture: DegradedPicture) -> RestorationScores:
    """Score one fused ``HxWx3`` picture against the clean sources."""
    gray = to_gray(picture.visible)
    found = compute_all(to_gray(fused), (picture.thermal, gray), ("PSNR", "SSIM"))
    ours, clean = (
        cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)[..., 1:].astype(np.float64)
        for image in (fused, picture.visible)
    )
    error = max(float(np.mean((ours - clean) ** 2)), _LEAST_ERROR)
    return RestorationScores(found["PSNR"], found["SSIM"], float(10 * np.log10(255**2 / error)))


def compared_methods(restorer: Path | None, *, slow: bool) -> dict[str, FusePair]:
    """Return the methods to compare.

    Args:
        restorer: Weights of the cascades' first half; without it there are none.
        slow: Compare with the full m2pn as well.
    """
    restoring = load_model("mdaif")
    methods = {
        "mdaif": pair_fuser(restoring, with_prior=True),
        "mdaif, no prior": pair_fuser(restoring, with_prior=False),
    }
    names = ("m2pn-edge", "m2pn") if slow else ("m2pn-edge",)
    fusing = {name: pair_fuser(load_model(name), with_prior=False) for name in names}
    methods |= fusing
    if restorer is not None:
        network = Restorer()
        load_weights(network, restorer)
        restore = pair_fuser(network, with_prior=False)
        methods |= {
            f"restore, then {name}": cascade(restore, fuse) for name, fuse in fusing.items()
        }
    return methods


def cascade(restore: FusePair, fuse: FusePair) -> FusePair:
    """Return a method that fuses the visible picture that another one restored."""

    def in_turn(pair: AlignedPair, prior: ScenePrior | None) -> UInt8Image:
        assert pair.thermal is not None, "pairs of the test set are complete"
        thermal = np.rint(pair.thermal * 255).astype(np.uint8)
        return fuse(aligned_pair(restore(pair, prior), thermal), prior)

    return in_turn


def _mean(entries: list[RestorationScores]) -> RestorationScores:
    values = [(entry.psnr_db, entry.ssim, entry.chroma_psnr_db) for entry in entries]
    psnr, ssim, chroma = np.mean(values, axis=0)
    return RestorationScores(float(psnr), float(ssim), float(chroma))
