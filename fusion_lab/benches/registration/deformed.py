"""Known smooth deformations: what each method leaves of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

import fusion_core as fc
from fusion_core.types import UInt8Image
from fusion_lab.benches.progress import with_progress
from fusion_lab.benches.registration.alternatives import ALIGNERS, NOTHING, Aligner
from fusion_lab.benches.registration.geometry import (
    Displacement,
    displacement_of,
    inverted,
    mean_error,
)
from fusion_lab.benches.tables import Table
from fusion_lab.data import PairFiles, images_by_stem, read_example
from fusion_lab.metrics import to_gray

DENSE = "register (dense)"


@dataclass(frozen=True, slots=True)
class DeformedPair:
    """A pair whose thermal picture is deformed.

    Attributes:
        visible: ``HxWx3`` uint8 RGB.
        thermal: ``HxW`` uint8.
        displacement: What a registration should find.
    """

    visible: UInt8Image
    thermal: UInt8Image
    displacement: Displacement


@dataclass(frozen=True, slots=True)
class DeformedFigures:
    """What the methods leave.

    Attributes:
        errors: Method -> mean end-point error of each pair in pixels.
        cpu_ms: Method -> mean process time per pair.
    """

    errors: Mapping[str, tuple[float, ...]]
    cpu_ms: Mapping[str, float]

    def table(self) -> Table:
        """Return one row per method."""
        before = np.array(self.errors[NOTHING])
        rows = tuple(
            (
                method,
                float(np.mean(errors)),
                float(np.median(errors)),
                max(errors),
                int((np.array(errors) > before + 1e-3).sum()),
                round(self.cpu_ms[method]),
            )
            for method, errors in self.errors.items()
        )
        head = ("method", "mean px", "median", "worst", "worse than before", "CPU ms")
        return Table(f"Known deformations, {len(before)} pairs: end-point error", head, rows)


def measure_deformed(
    pairs: Iterator[DeformedPair], aligners: Mapping[str, Aligner] = ALIGNERS
) -> DeformedFigures:
    """Run every method, and the dense registration, on pairs with a known displacement."""
    errors: dict[str, list[float]] = {}
    seconds: dict[str, list[float]] = {}
    for pair in pairs:
        for name, find in _methods(pair, aligners).items():
            start = time.process_time()
            found = find()
            seconds.setdefault(name, []).append(time.process_time() - start)
            errors.setdefault(name, []).append(mean_error(found, pair.displacement))
    return DeformedFigures(
        {name: tuple(values) for name, values in errors.items()},
        {name: float(np.mean(values)) * 1e3 for name, values in seconds.items()},
    )


def read_deformed(folder: Path) -> Iterator[DeformedPair]:
    """Read pairs with a known deformation.

    Args:
        folder: Holds ``vi/``, ``ir_warp/`` and ``displacement/*.npz`` of equal stems, the latter
            with ``displacement_quarter`` and ``size`` (height, width).

    Raises:
        SourceError: A file is missing or cannot be decoded.
    """
    visible, thermal = images_by_stem(folder / "vi"), images_by_stem(folder / "ir_warp")
    for stem in with_progress(sorted(visible), "deformed"):
        pair = read_example(PairFiles(folder, stem, "vif", visible[stem], thermal[stem], None))
        with np.load(folder / "displacement" / f"{stem}.npz") as stored:
            height, width = map(int, stored["size"])
            quarter = stored["displacement_quarter"].astype(np.float32)
        full = cv2.resize(quarter, (width, height), interpolation=cv2.INTER_CUBIC)
        yield DeformedPair(pair.first, pair.second, inverted(np.asarray(full)))


def _methods(
    pair: DeformedPair, aligners: Mapping[str, Aligner]
) -> dict[str, Callable[[], Displacement]]:
    """Return the methods with this pair as their argument."""
    gray, shape = to_gray(pair.visible), pair.thermal.shape

    def align(aligner: Aligner) -> Callable[[], Displacement]:
        return lambda: displacement_of(aligner(pair.thermal, gray), shape)

    methods = {name: align(aligner) for name, aligner in aligners.items()}
    methods[DENSE] = lambda: fc.register(pair.thermal, pair.visible, "dense").displacement
    return methods
