"""Fixed degraded sets of the three tasks, with what fusion should make of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch

from fusion_core.models import load_model
from fusion_core.models.luma import LumaFuser
from fusion_core.models.mmaif.joiner import join
from fusion_core.models.mmaif.planes import to_planes, to_rgb
from fusion_core.sentences import PLAIN, Wish
from fusion_core.types import UInt8Image
from fusion_lab.benches.pictures import read_pictures
from fusion_lab.data import Example, FusionTask
from fusion_lab.training.wishing.asking import Asking
from fusion_lab.training.wishing.samples import as_image, as_tensor, degraded, make_degraded

FOLDERS: Final = ("roadscene/val", "msrs")
TEACHER: Final = "m2pn-edge"
"""Network whose fusion of the clean pair stands for the truth of visible and thermal pairs."""
SINGLE: Final[Mapping[FusionTask, tuple[str, ...]]] = {
    "vif": ("haze", "smoke", "rain", "snow", "noise", "low_light", "jpeg", "low_contrast"),
    "mef": ("haze", "noise", "jpeg", "low_contrast", "gaussian_blur"),
    "mff": ("haze", "noise", "jpeg", "low_contrast", "low_light"),
}
MIXED: Final[Mapping[FusionTask, tuple[dict[str, float], ...]]] = {
    "vif": (
        {"haze": 0.6, "noise": 0.4},
        {"rain": 0.6, "low_light": 0.5},
        {"smoke": 0.6, "jpeg": 0.6, "noise": 0.3},
    ),
    "mef": ({"haze": 0.5, "noise": 0.4}, {"low_contrast": 0.5, "jpeg": 0.6, "noise": 0.3}),
    "mff": ({"haze": 0.5, "noise": 0.4}, {"low_light": 0.5, "noise": 0.3, "jpeg": 0.5}),
}
THERMAL: Final[tuple[dict[str, float], ...]] = (
    {},
    {},
    {"stripes": 0.6},
    {"noise": 0.5},
)
"""What is done to the thermal picture of a pair, in turn."""
_SEVERITIES: Final = (0.4, 0.7, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class WishingCase:
    """One degraded set.

    Attributes:
        task: What it is for.
        group: A degradation, or ``compound``.
        pictures: The two degraded pictures, ``HxWx3`` uint8 RGB.
        kinds: What degrades the first and the second one.
        target: ``HxWx3`` uint8 RGB: true for exposures and focus settings, of visible and thermal
            pairs the fusion of the clean pair by ``TEACHER``.
        wish: To remove what degrades.
        seed: Seed of everything about the case that is random.
    """

    task: FusionTask
    group: str
    pictures: tuple[UInt8Image, UInt8Image]
    kinds: tuple[tuple[str, ...], tuple[str, ...]]
    target: UInt8Image
    wish: Wish
    seed: int


def read_cases(data: Path, task: FusionTask, every: int) -> Iterator[WishingCase]:
    """Iterate over the cases of a task: every picture once, degradations in turn.

    Args:
        data: Root of ``FOLDERS``.
        task: The task.
        every: Use every n-th picture.
    """
    teacher = load_model(TEACHER)
    assert isinstance(teacher, LumaFuser), "the teacher fuses luma"
    number = 0
    for folder in FOLDERS:
        for example in read_pictures(data / folder, every):
            for group, severities in _turn(task, number):
                name = f"1/{task}/{folder}/{example.name}/{group}"
                seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") // 2
                yield _case(example, task, group, severities, number, seed, teacher)
            number += 1


@torch.inference_mode()
def clean_fusion(teacher: LumaFuser, visible: UInt8Image, thermal: UInt8Image) -> UInt8Image:
    """Return the fusion ``HxWx3`` RGB of a clean pair."""
    return as_image(to_rgb(join(teacher, to_planes(as_tensor(visible)), as_tensor(thermal))))


def _turn(task: FusionTask, number: int) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield two single degradations and a compound one for a picture."""
    single, mixed = SINGLE[task], MIXED[task]
    for offset in range(2):
        kind = single[(2 * number + offset) % len(single)]
        yield kind, {kind: _SEVERITIES[(number + offset) % len(_SEVERITIES)]}
    yield "compound", mixed[number % len(mixed)]


def _case(  # noqa: PLR0917 - one of each
    example: Example,
    task: FusionTask,
    group: str,
    severities: Mapping[str, float],
    number: int,
    seed: int,
    teacher: LumaFuser,
) -> WishingCase:
    thermal = THERMAL[number % len(THERMAL)] if task == "vif" else {}
    kinds = tuple(severities), tuple(thermal)
    wish = Wish(dict.fromkeys([*kinds[0], *kinds[1]], PLAIN))
    if task == "vif":
        bad = degraded(example.second, thermal, seed)
        pictures = degraded(example.first, severities, seed), np.repeat(bad[..., None], 3, 2)
        target = clean_fusion(teacher, example.first, example.second)
    else:
        asking = Asking(severities, {}, wish, "")
        first, second, target = make_degraded(
            example.first, task, asking, np.random.default_rng(seed)
        )
        pictures = first, second
    return WishingCase(task, group, pictures, kinds, target, wish, seed)
