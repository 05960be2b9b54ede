"""A fixed test set of degraded pictures: a recipe and its checksum instead of files.

Version 1, from pictures that no training of this project uses: the whole of roadscene/val and msrs
and the first eight pairs of llvip. Every picture appears clean, with every kind of its modality at
one of three severities (in turn), and with two of ten mixtures.

Many of these recordings are JPEG files: their first rows and columns are cut off, so that blocks of
their own do not lie where ours do.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from fusion_core.priors.kinds import kinds_of
from fusion_core.types import Modality, UInt8Image
from fusion_lab.data import pair_files

VERSION = 1
CHECKSUM = "b93b2fd4b0f9cc1e8d39389799a3a7e7bfc78c1a597869a61a962a0fc4178c33"
SEVERITIES = (0.2, 0.6, 1.0)
_CUT = 3
# Folder -> number of pairs taken, in the order of their names.
FOLDERS = {"roadscene/val": 40, "msrs": 16, "llvip": 8}
MIXTURES: dict[Modality, tuple[dict[str, float], ...]] = {
    "visible": (
        {"haze": 0.5, "noise": 0.4},
        {"rain": 0.6, "low_light": 0.5},
        {"snow": 0.6, "gaussian_blur": 0.3},
        {"smoke": 0.7, "jpeg": 0.8},
        {"low_light": 0.6, "noise": 0.5, "motion_blur": 0.4},
        {"haze": 0.6, "rain": 0.5},
        {"over_exposure": 0.5, "defocus": 0.4},
        {"downsampling": 0.7, "jpeg": 0.7},
        {"smoke": 0.5, "low_light": 0.4, "noise": 0.3},
        {"snow": 0.5, "haze": 0.4, "jpeg": 0.5},
    ),
    "thermal": (
        {"stripes": 0.5, "noise": 0.4},
        {"low_contrast": 0.6, "stripes": 0.5},
        {"gaussian_blur": 0.4, "noise": 0.4},
        {"low_contrast": 0.5, "noise": 0.3},
        {"motion_blur": 0.5, "stripes": 0.3},
        {"downsampling": 0.6, "noise": 0.3},
        {"defocus": 0.5, "low_contrast": 0.5},
        {"downsampling": 0.7, "jpeg": 0.7},
        {"noise": 0.5, "stripes": 0.5, "low_contrast": 0.4},
        {"gaussian_blur": 0.5, "jpeg": 0.6},
    ),
}


@dataclass(frozen=True, slots=True)
class Case:
    """One picture of the test set.

    Attributes:
        folder: Folder of the pair, below the data's root.
        stem: Name of the pair.
        modality: Which of its pictures.
        severities: What is done to it; empty for the clean picture.
        seed: Seed of the degradation.
    """

    folder: str
    stem: str
    modality: Modality
    severities: dict[str, float]
    seed: int


def cases(root: Path) -> Iterator[Case]:
    """Iterate over the test set.

    Args:
        root: Folder that holds those of ``FOLDERS``.

    Raises:
        SourceError: A pair is incomplete.
    """
    number = 0
    for folder, count in FOLDERS.items():
        for files in pair_files(root / folder)[:count]:
            for modality in MIXTURES:
                for index, severities in enumerate(_recipe(number, modality)):
                    name = f"{VERSION}/{folder}/{files.stem}/{modality}/{index}"
                    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
                    yield Case(folder, files.stem, modality, severities, seed)
            number += 1


def cut(picture: UInt8Image) -> UInt8Image:
    """Return a recorded picture as it enters the test set."""
    return np.ascontiguousarray(picture[_CUT:, _CUT:])


def checksum(root: Path) -> str:
    """Return the SHA-256 of the recipe and of the pictures that it starts from."""
    digest = hashlib.sha256()
    for case in cases(root):
        digest.update(json.dumps(asdict(case), sort_keys=True).encode())
    for folder, count in FOLDERS.items():
        for files in pair_files(root / folder)[:count]:
            digest.update(files.first.read_bytes())
            digest.update(files.second.read_bytes())
    return digest.hexdigest()


def _recipe(number: int, modality: Modality) -> list[dict[str, float]]:
    """Return what is done to one picture."""
    kinds = kinds_of(modality)[1:]
    single = [
        {kind: SEVERITIES[(number + index) % len(SEVERITIES)]} for index, kind in enumerate(kinds)
    ]
    first = 2 * number % len(MIXTURES[modality])
    return [{}, *single, *MIXTURES[modality][first : first + 2]]
