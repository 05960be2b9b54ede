"""What each sentence removes of each degradation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fusion_core.engine import Engine
from fusion_core.models.luma import LumaFuser
from fusion_core.models.mmaif import MMAIF
from fusion_core.priors import assess_pair
from fusion_core.priors.embedded import EmbeddedProvider
from fusion_core.types import UInt8Image
from fusion_lab.benches.pictures import read_pictures
from fusion_lab.benches.plots import load_pyplot
from fusion_lab.benches.progress import with_progress
from fusion_lab.benches.tables import Table
from fusion_lab.benches.wishing.cases import FOLDERS, clean_fusion
from fusion_lab.data import Example, aligned_pair
from fusion_lab.metrics import to_gray
from fusion_lab.training.wishing.samples import degraded

KINDS: Final = ("haze", "rain", "snow", "noise", "low_light", "low_contrast", "smoke", "jpeg")
SENTENCES: Final = {
    "haze": "remove the haze",
    "rain": "remove the rain",
    "snow": "remove the snow",
    "noise": "remove the noise",
    "low_light": "remove the darkness",
    "low_contrast": "remove the low contrast",
    "smoke": "remove the smoke",
    "jpeg": "remove the compression artifacts",
    "": "",
}
_SEVERITY: Final = 0.7
_PICTURES: Final = 6
_DAY: Final = 64  # mean of a clean visible picture that is not dark itself


@dataclass(frozen=True, slots=True)
class WishMatrix:
    """Share of each degradation that each sentence removes.

    Attributes:
        kinds: Degradations, the columns.
        sentences: What was said, the rows; the last is nothing.
        removed: Row by column: 1 - squared error after / squared error of fusing the degraded pair
            unrestored, both to the fusion of the clean pair; 1 removes all, 0 leaves it, below 0
            is worse. All three are joined by the network's own joiner.
    """

    kinds: tuple[str, ...]
    sentences: tuple[str, ...]
    removed: tuple[tuple[float, ...], ...]

    def tables(self) -> list[Table]:
        """Return the matrix."""
        rows: tuple[tuple[str | float, ...], ...] = tuple(
            (sentence or "(nothing said)", *values)
            for sentence, values in zip(self.sentences, self.removed, strict=True)
        )
        return [Table("Share of the error removed", ("sentence", *self.kinds), rows, digits=2)]


def measure_matrix(model: MMAIF, data: Path, every: int) -> WishMatrix:
    """Say every sentence to every degradation of some pairs of the day.

    At night darkness is there before anything degrades a picture.

    Args:
        model: The network.
        data: Root of the pairs.
        every: Use every n-th pair.
    """
    engine = Engine(model, None)
    joiner = model.joiner.model
    assert isinstance(joiner, LumaFuser), "the joiner fuses luma"
    read = [pair for folder in FOLDERS for pair in read_pictures(data / folder, every)]
    pairs = [pair for pair in read if pair.first.mean() > _DAY]
    pairs = pairs[:: max(1, len(pairs) // _PICTURES)][:_PICTURES]
    found = [_removed(engine, joiner, pair) for pair in with_progress(pairs, "matrix")]
    mean = np.mean(found, axis=0)
    return WishMatrix(
        KINDS,
        tuple(SENTENCES.values()),
        tuple(tuple(float(value) for value in row) for row in mean),
    )


def _removed(engine: Engine, joiner: LumaFuser, pair: Example) -> NDArray[np.float64]:
    target = _fused(joiner, pair.first, pair.second)
    rows = np.zeros((len(SENTENCES), len(KINDS)))
    for column, kind in enumerate(KINDS):
        bad = degraded(pair.first, {kind: _SEVERITY}, 11 + column)
        before = _error(_fused(joiner, bad, pair.second), target)
        thermal = np.repeat(pair.second[..., None], 3, 2)
        prior = assess_pair(EmbeddedProvider(), aligned_pair(bad, pair.second))
        for row, sentence in enumerate(SENTENCES.values()):
            made = engine.fuse_pictures((bad, thermal), "vif", text=sentence, prior=prior)
            rows[row, column] = 1 - _error(to_gray(made), target) / before
    return rows


def _fused(joiner: LumaFuser, visible: UInt8Image, thermal: UInt8Image) -> UInt8Image:
    return to_gray(clean_fusion(joiner, visible, thermal))


def _error(picture: UInt8Image, target: UInt8Image) -> float:
    return float(np.mean((picture.astype(np.float64) - target) ** 2))


def draw_matrix(matrix: WishMatrix, path: Path) -> None:
    """Draw the matrix.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    plt = load_pyplot(path)
    values = np.array(matrix.removed)
    figure, axes = plt.subplots(figsize=(9, 6), layout="constrained")
    shown = axes.imshow(values, vmin=-1, vmax=1, cmap="RdBu")
    axes.set_xticks(range(len(matrix.kinds)), matrix.kinds, rotation=30)
    axes.set_yticks(
        range(len(matrix.sentences)), [text or "(nothing said)" for text in matrix.sentences]
    )
    for (y, x), value in np.ndenumerate(values):
        axes.text(x, y, f"{value:.2f}", ha="center", va="center", fontsize=8)
    figure.colorbar(shown, ax=axes, label="share of the error removed")
    figure.savefig(path, dpi=80)
    plt.close(figure)
