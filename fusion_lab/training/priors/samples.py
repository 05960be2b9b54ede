"""Degraded pictures with labels, cut down to what the embedded network sees."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from fusion_core.priors.inputs import make_inputs
from fusion_core.priors.kinds import kinds_of
from fusion_core.types import FloatImage, Modality, UInt8Image
from fusion_lab.training.degradations import Degrader, sample_mixture
from fusion_lab.training.priors.bases import Base


@dataclass(frozen=True, slots=True)
class Samples:
    """``N`` samples of one modality.

    Attributes:
        thumbs: ``NxCx96x128`` uint8.
        crops: ``Nx12x64x64`` uint8.
        statistics: ``NxS`` float32.
        labels: ``NxK`` float32, 1 where a kind is present.
        known: ``NxK`` float32, 1 where the label is known.
        quality: ``N`` float32, 1 minus the largest severity.
    """

    thumbs: Tensor
    crops: Tensor
    statistics: Tensor
    labels: Tensor
    known: Tensor
    quality: Tensor


def make_samples(
    bases: Sequence[Base],
    modality: Modality,
    numbers: Iterable[int],
    seed: int,
    on_sample: Callable[[int], object] = lambda _: None,
) -> Samples:
    """Degrade random parts of the bases; sample ``i`` depends on nothing but ``seed`` and ``i``.

    The samples made are those of the numbers given.

    Recorded and synthetic bases are drawn two to one, whatever their numbers.
    """
    drawn = [base for base in bases if not base.key.startswith("synthetic:")]
    rendered = [base for base in bases if base.key.startswith("synthetic:")]
    rows = []
    for index in numbers:
        rng = np.random.default_rng((seed, index))
        group = rendered if rendered and (not drawn or rng.random() < 1 / 3) else drawn
        rows.append(draw_sample(group[int(rng.integers(len(group)))], modality, rng))
        on_sample(1)
    return stack(rows, modality)


# A picture, what it shows with which severity, and what it may show.
Row = tuple[UInt8Image, dict[str, float], frozenset[str]]
# Night behind these is no longer dark.
_BRIGHTENING = {"haze", "smoke", "over_exposure", "low_contrast"}


def stack(rows: Sequence[Row], modality: Modality) -> Samples:
    """Return samples of degraded pictures with their labels and unknown kinds."""
    kinds = kinds_of(modality)
    inputs = [make_inputs(picture) for picture, _, _ in rows]
    labels = np.zeros((len(rows), len(kinds)), np.float32)
    known = np.ones_like(labels)
    quality = np.ones(len(rows), np.float32)
    for row, (_, present, unknown) in enumerate(rows):
        labels[row] = [kind in present for kind in kinds]
        labels[row, 0] = not present
        known[row] = [kind not in unknown for kind in kinds]
        quality[row] = 1 - max(present.values(), default=0.0)
    return Samples(
        torch.from_numpy(np.stack([entry.thumb for entry in inputs])).permute(0, 3, 1, 2),
        torch.from_numpy(np.stack([entry.crops for entry in inputs])),
        torch.from_numpy(np.stack([entry.statistics for entry in inputs])),
        torch.from_numpy(labels),
        torch.from_numpy(known),
        torch.from_numpy(quality),
    )


def degrade(
    base: Base, modality: Modality, severities: dict[str, float], seed: int, picture: FloatImage
) -> Row:
    """Return a degraded picture of a base with all that it shows."""
    result = Degrader(severities, seed).apply(picture)
    pixels = np.rint(result.image * 255).astype(np.uint8)
    if modality == "thermal":
        return pixels, dict(severities), base.thermal_unknown - severities.keys()
    present = dict(base.present)
    for kind, severity in severities.items():
        present[kind] = max(severity, present.get(kind, 0.0))
    unknown = base.unknown - severities.keys()
    if "low_light" in base.present and _BRIGHTENING & severities.keys():
        unknown |= {"low_light"}
    return pixels, present, unknown


def draw_sample(
    base: Base,
    modality: Modality,
    rng: np.random.Generator,
    severities: dict[str, float] | None = None,
) -> Row:
    """Cut, scale, flip and tone a base, then degrade it.

    Args:
        base: Where it comes from.
        modality: Which picture of it.
        rng: Source of the random choices.
        severities: What is done to it; None: a mixture is drawn.
    """
    picture = base.visible if modality == "visible" else base.thermal
    height, width = picture.shape[:2]
    share = rng.uniform(0.6, 1.0)
    rows, columns = round(share * height), round(share * width)
    top, left = (
        int(rng.integers(height - rows + 1)),
        int(rng.integers(width - columns + 1)),
    )
    cut = picture[top : top + rows, left : left + columns]
    if rng.random() < 0.5:
        # Never enlarged: a clean picture must not become soft.
        scale = rng.uniform(0.7, 1.0)
        size = round(columns * scale), round(rows * scale)
        cut = np.asarray(cv2.resize(cut, size, interpolation=cv2.INTER_AREA), np.uint8)
    if rng.random() < 0.5:
        cut = cut[:, ::-1]
    tone = np.exp(rng.uniform(-0.2, 0.2))
    toned = np.power(cut.astype(np.float32) / np.float32(255), np.float32(tone))
    if severities is None:
        severities = sample_mixture(rng, modality)
    return degrade(base, modality, severities, int(rng.integers(2**31)), toned)
