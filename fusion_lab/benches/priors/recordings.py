"""What the provider answers on recordings of night and of real smoke."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from fusion_core.priors import PriorProvider
from fusion_core.priors.kinds import veil_probability
from fusion_core.source import open_source
from fusion_core.types import Frame, UInt8Image
from fusion_lab.benches.pictures import read_pictures
from fusion_lab.benches.plots import load_pyplot
from fusion_lab.benches.tables import Table
from fusion_lab.training.priors.bases import load_bases

_SHOWN_KINDS = ("smoke", "haze", "clean", "low_light")
_THUMBNAIL, _THUMBNAILS = (160, 120), 7


@dataclass(frozen=True, slots=True)
class SmokeCurve:
    """Probabilities over a recording.

    Attributes:
        seconds: Time of each sample since the start.
        veiled: Probability of smoke or haze, which are mistaken for each other.
        kinds: Kind -> probability.
    """

    seconds: tuple[float, ...]
    veiled: tuple[float, ...]
    kinds: Mapping[str, tuple[float, ...]]

    @property
    def veiled_share(self) -> float:
        """Share of the samples with a probability of smoke or haze above 0.5."""
        return float(np.mean(np.array(self.veiled) > 0.5))


def night_probabilities(folder: Path, provider: PriorProvider) -> dict[str, tuple[float, ...]]:
    """Return p(low_light) of the pictures of msrs by the last letter of their names, D or N."""
    found: dict[str, list[float]] = {}
    for base in load_bases([folder]):
        probability = provider.assess(base.visible, None).visible["low_light"]
        found.setdefault(base.key[-1], []).append(probability)
    return {name: tuple(sorted(values)) for name, values in sorted(found.items())}


def night_table(found: Mapping[str, tuple[float, ...]]) -> Table:
    """Return one row per group of pictures."""
    names = {"D": "day", "N": "night"}
    rows = tuple(
        (names.get(name, name), " ".join(f"{value:.2f}" for value in values))
        for name, values in found.items()
    )
    return Table("p(low_light)", ("pictures", "sorted"), rows)


def smoke_curve(
    frames: Iterable[Frame], provider: PriorProvider, every: int = 5, rate_hz: float = 30.0
) -> tuple[SmokeCurve, list[UInt8Image]]:
    """Assess every n-th visible frame; return the curve and a thumbnail of each."""
    seconds, veiled, thumbnails = [], [], []
    kinds: dict[str, list[float]] = {kind: [] for kind in _SHOWN_KINDS}
    for frame in frames:
        if frame.modality != "visible" or frame.sequence % every:
            continue
        found = provider.assess(frame.image, None).visible
        seconds.append(frame.sequence / rate_hz)
        veiled.append(veil_probability(found))
        for kind, values in kinds.items():
            values.append(found[kind])
        small = cv2.resize(frame.image, _THUMBNAIL, interpolation=cv2.INTER_AREA)
        thumbnails.append(np.asarray(small, np.uint8))
    curve = SmokeCurve(
        tuple(seconds), tuple(veiled), {kind: tuple(values) for kind, values in kinds.items()}
    )
    return curve, thumbnails


def video_curve(folder: Path, provider: PriorProvider) -> tuple[SmokeCurve, list[UInt8Image]]:
    """Return the curve of the visible stream of a folder with ``vi.mp4`` and ``ir.mp4``."""
    with open_source(visible=folder / "vi.mp4", thermal=folder / "ir.mp4") as source:
        return smoke_curve(source.frames(), provider)


def likely_kinds(folder: Path, provider: PriorProvider, count: int = 3) -> Table:
    """Return the likeliest kinds of every visible picture of a folder."""
    rows = []
    for pair in read_pictures(folder):
        found = provider.assess(pair.first, None).visible
        ranked = sorted(found.items(), key=lambda entry: -entry[1])[:count]
        rows.append((pair.name, ", ".join(f"{kind} {share:.2f}" for kind, share in ranked)))
    return Table("Likeliest kinds", ("picture", "kinds"), tuple(rows))


def draw_curve(curve: SmokeCurve, thumbnails: list[UInt8Image], path: Path) -> None:
    """Plot probabilities over time below some of the frames.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    plt = load_pyplot(path)
    figure = plt.figure(figsize=(11, 5))
    axes = figure.add_axes((0.06, 0.1, 0.92, 0.5))
    axes.plot(curve.seconds, curve.veiled, "k", lw=2, label="smoke or haze")
    for kind, values in curve.kinds.items():
        axes.plot(curve.seconds, values, lw=1, label=kind)
    limits = {"ylim": (-0.02, 1.02), "xlim": (0, curve.seconds[-1])}
    axes.set(xlabel="seconds", ylabel="probability", **limits)
    axes.legend(loc="center left", ncols=5, fontsize=8)
    shown = np.linspace(0, len(thumbnails) - 1, _THUMBNAILS).round().astype(int)
    strip = figure.add_axes((0.06, 0.66, 0.92, 0.3))
    strip.imshow(np.hstack([thumbnails[index] for index in shown]), aspect="auto")
    strip.set_axis_off()
    strip.set_title("  ".join(f"{curve.seconds[index]:.1f} s" for index in shown), fontsize=8)
    figure.savefig(path, dpi=80)
    plt.close(figure)
