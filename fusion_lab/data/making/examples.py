"""Made pairs as examples, for trainers and evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, overload

import numpy as np

from fusion_core.errors import UsageError
from fusion_core.types import UInt8Image
from fusion_lab.data.example import Example
from fusion_lab.data.layout import FusionTask, images_by_stem
from fusion_lab.data.making.exposure import exposure_pair
from fusion_lab.data.making.focus import focus_pair
from fusion_lab.data.making.pair import MadePair
from fusion_lab.data.reading import read_image

_MAKERS: Final[Mapping[FusionTask, Callable[[UInt8Image, np.random.Generator], MadePair]]] = {
    "mef": exposure_pair,
    "mff": focus_pair,
}


@dataclass(frozen=True, slots=True, eq=False)
class SharpPicture:
    """One picture to make pairs from.

    Attributes:
        image: ``HxWx3`` uint8 RGB, sharp and well exposed.
        folder: Folder that it was read from.
        name: Its stem.
        scene: Name of the recording it belongs to.
    """

    image: UInt8Image
    folder: Path
    name: str
    scene: str

    @classmethod
    def of(cls, example: Example) -> SharpPicture:
        """Return the first picture of an example, say the visible one of a pair."""
        image = example.first
        if image.ndim == 2:
            image = np.repeat(image[..., None], 3, axis=2)
        return cls(image, example.folder, example.name, example.scene)


def read_sharp_pictures(folders: Iterable[Path]) -> list[SharpPicture]:
    """Decode every picture of the folders, sorted by stem; each is a scene of its own.

    Raises:
        SourceError: A folder is missing or holds no images, or one cannot be decoded.
        EncodingError: An image is not 8-bit.
    """
    return [
        SharpPicture(read_image(path), folder, stem, f"{folder}/{stem}")
        for folder in folders
        for stem, path in sorted(images_by_stem(folder).items())
    ]


class MadeExamples(Sequence[Example]):
    """Pairs with targets, made when they are asked for; the same number gives the same pair.

    Number ``n`` is made from picture ``n`` modulo their number, so a longer sequence of the same
    pictures begins with the shorter one.

    Args:
        pictures: What to make them from.
        task: ``mef``: under- and over-exposed. ``mff``: near and far in focus.
        seed: Seed of all that is random.
        length: Number of examples; None: one per picture.

    Raises:
        UsageError: There are no pictures, or pairs of this task cannot be made.
    """

    def __init__(
        self,
        pictures: Sequence[SharpPicture],
        task: FusionTask,
        seed: int,
        length: int | None = None,
    ) -> None:
        if task not in _MAKERS:
            raise UsageError(
                f"task {task!r}: pairs are made for {', '.join(_MAKERS)} only; a thermal picture "
                "cannot be made from a visible one"
            )
        if not pictures:
            raise UsageError("no pictures to make pairs from; give one or more")
        self._pictures = pictures
        self._task: FusionTask = task
        self._make = _MAKERS[task]
        self._seed = seed
        self._length = len(pictures) if length is None else length

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> list[Example]: ...
    def __getitem__(self, index: int | slice) -> Example | list[Example]:
        if isinstance(index, slice):
            return [self._made(number) for number in range(*index.indices(self._length))]
        if not -self._length <= index < self._length:
            raise IndexError(f"example {index} of {self._length}")
        return self._made(index % self._length)

    def __iter__(self) -> Iterator[Example]:
        return (self._made(number) for number in range(self._length))

    def _made(self, number: int) -> Example:
        source = self._pictures[number % len(self._pictures)]
        rng = np.random.default_rng((self._seed, number))
        pair = self._make(source.image, rng)
        return Example(
            first=pair.first,
            second=pair.second,
            target=pair.target,
            task=self._task,
            text="",
            mask=None,
            labels=None,
            folder=source.folder,
            name=f"{source.name}_{number // len(self._pictures)}",
            scene=source.scene,
        )
