"""From the files of one set to its fused picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final, Literal

import cv2
import numpy as np

from fusion_core.api import explain_images, fuse_images, model_for
from fusion_core.cli.picture_sets import PictureSet
from fusion_core.drawing import SOURCE_COLOURS, draw_shares
from fusion_core.engine import ExplainedPicture, pick_device
from fusion_core.errors import CalibrationError, EncodingError, SinkError, SourceError, UsageError
from fusion_core.foundation import load_frozen
from fusion_core.models import Fuser, load_model
from fusion_core.models.options import read_options
from fusion_core.runtime.files import write_atomic
from fusion_core.runtime.live_setting import Scalar
from fusion_core.source.image_files import ImageItem
from fusion_core.source.image_reader import ImageReader, ReadImage
from fusion_core.stacks import Prepared, guess_task, prepare_stack
from fusion_core.stacks.task import Task
from fusion_core.thermal import ThermalConfig, ThermalProcessor
from fusion_core.types import Frame, Modality, UInt8Image

_GAP_PX: Final = 4
_QUALITY: Final = {
    ".jpg": (cv2.IMWRITE_JPEG_QUALITY, 95),
    ".jpeg": (cv2.IMWRITE_JPEG_QUALITY, 95),
    ".webp": (cv2.IMWRITE_WEBP_QUALITY, 95),
}


@dataclass(frozen=True, slots=True, eq=False)
class FusedSet:
    """What was made of one set.

    Attributes:
        image: ``HxWx3`` uint8 RGB.
        pictures: The pictures as they were read, in the order given.
        task: What they were fused for.
        model: Name of the model.
        prepared: How the stack was made ready.
        maps: ``pixels`` and ``prompts``, where they were asked for: which picture made each pixel
            or was asked for by each token, as colours, ``HxWx3`` uint8 RGB.
    """

    image: UInt8Image
    pictures: tuple[UInt8Image, ...]
    task: Task
    model: str
    prepared: Prepared
    maps: Mapping[str, UInt8Image] = field(default_factory=dict)

    def described(self) -> str:
        """Return one line for the user."""
        words = [f"task {self.task}, model {self.model}"]
        moved = [shift for shift in self.prepared.shifts_px if shift]
        if moved:
            words.append(f"aligned by up to {max(moved):.1f} px")
        if max(self.prepared.replaced) > 0:
            words.append(f"{max(self.prepared.replaced):.1%} taken from the reference alone")
        if self.maps:
            names = zip(SOURCE_COLOURS, range(1, 1 + len(self.pictures)), strict=False)
            words.append("maps: " + ", ".join(f"{colour} picture {n}" for colour, n in names))
        return "; ".join(words)


class SetFuser:
    """Fuses sets of pictures, all with one task, or with that which each asks for.

    Args:
        task: The task; ``auto``: told from the pictures.
        model: Name or checkpoint; None: by the task.
        text: Description of the result, for models that take a text.
        device: ``auto``, ``cpu`` or ``cuda``.
        options: Options of the model.
        align: Align exposures and focus settings.
        still: Show what moved as the reference shows it.

    Raises:
        UsageError: Unknown device.
    """

    def __init__(
        self,
        *,
        task: Literal["vif", "mef", "mff", "auto"],
        model: str | None,
        text: str | None,
        device: str,
        options: Mapping[str, Scalar],
        align: bool,
        still: bool,
    ) -> None:
        self._task = task
        self._model = model
        self._text = text
        self._device = pick_device(device)
        self._options = options
        self._align = align
        self._still = still
        self._loaded: dict[str, Fuser] = {}

    def fuse(self, entry: PictureSet, *, maps: bool = False) -> FusedSet:
        """Read and fuse one set.

        Args:
            entry: The set.
            maps: Draw which picture made what.

        Raises:
            SourceError: A file cannot be read.
            EncodingError: A file holds no usable picture.
            CalibrationError: The sizes differ.
            StackError: The task cannot be told.
            UsageError: No model does the task with these pictures, or it has no maps.
        """
        read = [_Picture(path) for path in entry.files]
        task = self._task_of(read)
        if task == "vif" and len(read) > 2:
            raise UsageError(f"task vif: {len(read)} pictures given, expected visible and thermal")
        pictures = [picture.visible for picture in read]
        if task == "vif":
            pictures[1] = read[1].thermal
        _require_one_size(entry.files, pictures)
        name = self._model or model_for(task, self._text)
        if name not in self._loaded:
            self._loaded[name] = self._open(name)
        prepared = prepare_stack(pictures, task, align=self._align, still=self._still)
        model = self._loaded[name]
        if not maps:
            image = fuse_images(*prepared.pictures, task=task, text=self._text, model=model)
            return FusedSet(image, tuple(pictures), task, name, prepared)
        made = explain_images(*prepared.pictures, task=task, text=self._text, model=model)
        drawn = _maps(made, prepared.order, name)
        return FusedSet(made.image, tuple(pictures), task, name, prepared, drawn)

    def _task_of(self, read: Sequence[_Picture]) -> Task:
        if self._task != "auto":
            return self._task
        if len(read) == 2 and read[1].holds_counts:
            return "vif"
        pictures = [picture.visible for picture in read]
        _require_one_size([picture.path for picture in read], pictures)
        return guess_task(pictures)

    def _open(self, name: str) -> Fuser:
        model = load_model(name, self._device)
        load_frozen(model)
        model.configure(read_options(model.Options, self._options, name))
        return model


class _Picture:
    """One file, read as a visible or as a thermal picture."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def visible(self) -> UInt8Image:
        """``HxWx3`` uint8 RGB."""
        return np.asarray(self._read("visible").image, np.uint8)

    @cached_property
    def thermal(self) -> UInt8Image:
        """The thermal picture after gain control, as ``HxWx3`` gray."""
        read = self._counts
        frame = Frame(0, "thermal", read.image, read.encoding, unit=read.unit)
        alone = ThermalConfig(freeze_frames=0, dead_pixels=False)
        luminance = ThermalProcessor(alone).process(frame).luminance
        gray = np.rint(luminance * 255).astype(np.uint8)
        return np.ascontiguousarray(np.repeat(gray[..., None], 3, axis=2))

    @property
    def holds_counts(self) -> bool:
        """Whether it is a thermal picture as a camera measures it: one channel of over 8 bits."""
        return self._counts.encoding in {"mono16", "32FC1"}

    @cached_property
    def _counts(self) -> ReadImage:
        return self._read("thermal")

    def _read(self, modality: Modality) -> ReadImage:
        item = ImageItem(self.path, 0, self.path.stem)
        try:
            return ImageReader(modality, [item]).read(item)
        except (EncodingError, OSError) as error:
            raise SourceError(f"{self.path}: cannot be read as a picture: {error}") from error


def _maps(made: ExplainedPicture, order: Sequence[int], model: str) -> dict[str, UInt8Image]:
    """Draw the shares of the pictures in the order in which they were given."""
    if made.shares is None or made.prompts is None:
        raise UsageError(f"--maps: model {model!r} does not say which picture made what; try tcmoa")
    height, width = made.image.shape[:2]
    as_given = np.argsort(order)
    return {
        name: draw_shares(share[as_given], (width, height))
        for name, share in (("pixels", made.shares), ("prompts", made.prompts))
    }


def beside(pictures: Sequence[UInt8Image]) -> UInt8Image:
    """Return pictures of one size beside each other, with white gaps."""
    gap = np.full((pictures[0].shape[0], _GAP_PX, 3), 255, np.uint8)
    parts = [part for picture in pictures for part in (picture, gap)]
    return np.hstack(parts[:-1])


def write_picture(target: Path, picture: UInt8Image) -> None:
    """Write a picture in the format of the file's suffix; the file is whole or as it was.

    Raises:
        SinkError: It cannot be written.
    """
    suffix = target.suffix.lower()
    _, data = cv2.imencode(
        suffix, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), _QUALITY.get(suffix, ())
    )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(target, data.tobytes())
    except OSError as error:
        raise SinkError(
            f"{target}: cannot be written ({error.strerror}); choose another place"
        ) from None


def _require_one_size(files: Sequence[Path], pictures: Sequence[UInt8Image]) -> None:
    height, width = pictures[0].shape[:2]
    for path, picture in zip(files, pictures, strict=True):
        if picture.shape[:2] != (height, width):
            raise CalibrationError(
                f"{path} is {picture.shape[1]}x{picture.shape[0]}, {files[0]} is {width}x{height}: "
                "pictures to fuse have one size; resize or register them first"
            )
