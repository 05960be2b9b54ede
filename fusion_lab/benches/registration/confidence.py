"""How well the confidence of a registration separates right from wrong ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

import fusion_core as fc
from fusion_lab.benches.registration.geometry import (
    displacement_of,
    mean_error,
    moved_by,
    random_homography,
)
from fusion_lab.benches.tables import Table
from fusion_lab.data import Example

_RIGHT_PX, _WRONG_PX = 2, 5


@dataclass(frozen=True, slots=True)
class ConfidenceFigures:
    """Confidences of right and wrong registrations.

    Attributes:
        right: Of those within 2 px, on average over the picture, of the stored pair's alignment.
        wrong: Of those more than 5 px off, and of thermal pictures of other scenes.
        area: Area under the ROC curve.
    """

    right: tuple[float, ...]
    wrong: tuple[float, ...]
    area: float

    def table(self) -> Table:
        """Return the share that passes each threshold."""
        rows = tuple(
            (
                f"{limit:.1f}",
                float(np.mean(np.array(self.right) >= limit)) if self.right else float("nan"),
                float(np.mean(np.array(self.wrong) >= limit)) if self.wrong else float("nan"),
            )
            for limit in np.arange(1, 10) / 10
        )
        title = (
            f"Confidence: {len(self.right)} right, {len(self.wrong)} wrong, "
            f"area under ROC {self.area:.3f}"
        )
        return Table(title, ("threshold", "right that pass", "wrong that pass"), rows)


def measure_confidence(
    sets: Sequence[tuple[Sequence[Example], Sequence[Example]]],
) -> ConfidenceFigures:
    """Register moved pictures, and pictures of other scenes.

    Args:
        sets: The pairs of each set, and pairs of another one for pictures of other scenes.
    """
    right: list[float] = []
    wrong: list[float] = []
    for pairs, others in sets:
        rng = np.random.default_rng(1)
        for index, pair in enumerate(pairs):
            shape = pair.second.shape
            other = cv2.resize(others[index % len(others)].second, shape[::-1])
            wrong.append(fc.register(np.asarray(other), pair.first).confidence)
            stored = fc.register(pair.second, pair.first).displacement
            warp = random_homography(rng, shape)
            found = fc.register(moved_by(pair.second, warp), pair.first)
            assert found.homography is not None, "a registration of this mode is a homography"
            error = mean_error(displacement_of(warp @ found.homography, shape), stored)
            if error < _RIGHT_PX:
                right.append(found.confidence)
            elif error > _WRONG_PX:
                wrong.append(found.confidence)
    return ConfidenceFigures(tuple(right), tuple(wrong), area_under_roc(right, wrong))


def area_under_roc(right: Sequence[float], wrong: Sequence[float]) -> float:
    """Return the chance that a right one has the higher confidence; a tie counts half."""
    if not right or not wrong:
        return float("nan")
    gaps = np.subtract.outer(right, wrong)
    return float(((gaps > 0) + 0.5 * (gaps == 0)).mean())
