"""Where fused images come from: a model, a folder, a classical rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import fusion_core
from fusion_core.errors import SourceError, UsageError
from fusion_core.types import UInt8Image
from fusion_lab.data import Example, FusionTask, images_by_stem, read_image
from fusion_lab.evaluation import baselines
from fusion_lab.metrics import to_gray


class Method(Protocol):
    """Something that fuses a pair."""

    @property
    def name(self) -> str:
        """Name in tables."""

    def fuse(self, example: Example) -> UInt8Image:
        """Return ``HxW`` gray or ``HxWx3`` RGB uint8 on the pair's grid."""


@dataclass(frozen=True, slots=True)
class ModelMethod:
    """A model, run through ``fusion_core.fuse`` or ``fusion_core.fuse_images``.

    Attributes:
        name: One of ``fusion models``.
    """

    name: str

    def fuse(self, example: Example) -> UInt8Image:
        """Return the model's ``HxWx3`` uint8 RGB.

        Raises:
            UsageError: The model is unknown, or does not do the pair's task.
        """
        if example.task == "vif":
            return fusion_core.fuse(example.second, example.first, model=self.name)
        pictures = (example.first, example.second)
        return fusion_core.fuse_images(*pictures, task=example.task, model=self.name)


@dataclass(frozen=True, slots=True)
class BaselineMethod:
    """A classical rule on gray images.

    Attributes:
        name: Name in tables.
        rule: ``(second, first)`` picture, both ``HxW`` uint8, to ``HxW`` uint8.
    """

    name: str
    rule: Callable[[UInt8Image, UInt8Image], UInt8Image]

    def fuse(self, example: Example) -> UInt8Image:
        """Return the rule's ``HxW`` uint8."""
        return self.rule(to_gray(example.second), to_gray(example.first))


@dataclass(frozen=True, slots=True)
class ColourMethod:
    """A classical rule on colour pictures.

    Attributes:
        name: Name in tables.
        rule: ``(first, second)`` picture, both ``HxWx3`` uint8 RGB, to the same.
    """

    name: str
    rule: Callable[[UInt8Image, UInt8Image], UInt8Image]

    def fuse(self, example: Example) -> UInt8Image:
        """Return the rule's ``HxWx3`` uint8 RGB."""
        return self.rule(example.first, example.second)


@dataclass(frozen=True, slots=True)
class FolderMethod:
    """Fused images made elsewhere, one file per stem, any image format.

    Attributes:
        name: Name in tables.
        folder: Where the files lie.
        files: Stem -> file.
    """

    name: str
    folder: Path
    files: dict[str, Path]

    @classmethod
    def parse(cls, text: str) -> FolderMethod:
        """Return the method that ``DIR`` or ``NAME=DIR`` names.

        Raises:
            SourceError: No such folder, or no image in it.
            UsageError: The name or the folder is empty.
        """
        name, separator, path = text.partition("=")
        if separator and not (name and path):
            raise UsageError(f"--fused {text!r}: give DIR or NAME=DIR")
        folder = Path(path if separator else text)
        return cls(name if separator else folder.resolve().name, folder, images_by_stem(folder))

    def fuse(self, example: Example) -> UInt8Image:
        """Return the picture of this stem.

        Raises:
            SourceError: There is none, or its size is not the pair's.
            EncodingError: It is not 8-bit.
        """
        path = self.files.get(example.name)
        if path is None:
            raise SourceError(
                f"{self.folder}: no fused image for {example.name!r}; expected one file per pair, "
                "with the pair's stem"
            )
        image = read_image(path)
        if image.shape[:2] != example.second.shape[:2]:
            height, width = example.second.shape[:2]
            raise SourceError(
                f"{path}: {image.shape[1]}x{image.shape[0]}, its sources are {width}x{height} "
                "(width x height); metrics never resize: crop padding or fuse at source size"
            )
        return image


def baseline_methods() -> tuple[BaselineMethod, ...]:
    """Return the classical rules."""
    return (
        BaselineMethod("max", baselines.fuse_max),
        BaselineMethod("mean", baselines.fuse_mean),
        BaselineMethod("laplacian", baselines.fuse_laplacian),
        BaselineMethod("guided", baselines.fuse_guided),
    )


def task_methods(task: FusionTask) -> tuple[Method, ...]:
    """Return the classical rules for pictures of a task.

    Args:
        task: ``mef``: exposure fusion and the mean. ``mff``: choice of the sharper picture and the
            mean. ``vif``: those of :func:`baseline_methods`.
    """
    if task == "vif":
        return baseline_methods()
    mean = BaselineMethod("mean", baselines.fuse_mean)
    if task == "mef":
        return ColourMethod("mertens-opencv", baselines.fuse_exposures), mean
    return ColourMethod("sharper", baselines.fuse_sharper), mean
