"""A detector: images in, objects out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.detection.boxes import Candidates, strongest
from fusion_core.detection.card import read_card
from fusion_core.detection.class_names import ClassNames
from fusion_core.detection.evidence import weigh_by_thermal
from fusion_core.detection.letterbox import PADDING, Letterbox, Size
from fusion_core.detection.network import DetectorEngine, Network
from fusion_core.detection.output_formats import (
    OUTPUT_FORMATS,
    STRIDES,
    OutputFormat,
    Outputs,
    class_count,
    detect_format,
    grid_count,
)
from fusion_core.detection.settings import InputChoice
from fusion_core.detection.tiles import joined, tiles_of
from fusion_core.detection.views import merge_views
from fusion_core.errors import DetectorError, UsageError
from fusion_core.types import AlignedPair, Detection, UInt8Image

_log = logging.getLogger(__name__)
_MUCH_REDUCED = 0.75
_WEIGHTS = Path(__file__).parent / "weights"
SHIPPED: Final = {"default": "pair-nano.onnx", "pair-nano-aerial": "pair-nano-aerial.onnx"}
"""The detectors that come with the package, all of them for pairs, by the name of the setting."""


def resolve(name: str) -> Path:
    """Return the file of a detector: of one that ships by its name, else the path given.

    Raises:
        UsageError: The name is neither that of one that ships nor an ONNX file's.
    """
    if name in SHIPPED:
        return _WEIGHTS / SHIPPED[name]
    if not name.endswith(".onnx"):
        known = ", ".join(map(repr, SHIPPED))
        raise UsageError(f"detector {name!r}: expected {known}, 'none' or the path of a .onnx")
    return Path(name)


class Detector:
    """One network, the format of its outputs, and the names of its classes.

    The network is run once on a gray image, to recognise the format and to warm up.

    Args:
        name: One of ``SHIPPED`` or the path of an ONNX file.
        device: ``auto``, ``cpu`` or ``cuda``.
        threads: CPU threads; 0: all cores.
        output_format: Format of the outputs; ``auto``: as the model's card says, or recognised.
        engine: What executes it on a CPU: ``onnx``, ``openvino``, or ``auto``: the faster one.
        input_choice: Which of its inputs a network with two is given; ``auto``: the large one for
            pictures that the small one would reduce much.
        tiles: Parts in each row and column of the picture that are looked at beside the whole; 1:
            none.

    Raises:
        UsageError: The name is neither that of one that ships nor an ONNX file's.
        DetectorError: The file is missing or broken, or of no known output format.
        MissingExtraError: ONNX Runtime is not installed.
    """

    def __init__(
        self,
        name: str,
        *,
        device: str = "auto",
        threads: int = 0,
        output_format: str = "auto",
        engine: DetectorEngine = "onnx",
        input_choice: InputChoice = "auto",
        tiles: int = 1,
    ) -> None:
        self._input_choice = input_choice
        self._tiles = tiles
        self.path = resolve(name)
        self._network = Network(self.path, device, threads, engine)
        self.card = read_card(self.path, self._network.metadata)
        if self.takes_pair != (self._network.channels == 4):
            raise DetectorError(
                f"{self.path}: {self._network.channels} input channels, but its metadata say "
                f"input = {self.card.input!r}; a pair has 4 (red, green, blue, thermal), a fused "
                "picture 3"
            )
        width, height = self._network.size
        blank = np.full((height, width, self._network.channels), PADDING, np.uint8)
        self.output_format = output_format if output_format != "auto" else self.card.output_format
        presumed = OUTPUT_FORMATS.get(self.output_format, OUTPUT_FORMATS["yolov8"])
        outputs = self._network.run(_blob([blank], presumed))
        if self.output_format == "auto":
            self.output_format = self._recognised(outputs)
        self._format = OUTPUT_FORMATS[self.output_format]
        self._decode(outputs, self._network.size)
        count = class_count(self.output_format, outputs) or 0
        self.class_names = ClassNames.of(self.path, self.card, count)
        if not self.class_names.known:
            _log.warning(
                "%s names no classes: labels are numbers; list `names` in %s",
                self.path,
                self.path.with_suffix(".yaml"),
            )

    @property
    def takes_pair(self) -> bool:
        """Whether its input is visible and thermal together instead of the fused image."""
        return self.card.input == "pair"

    @property
    def about(self) -> dict[str, Any]:
        """File, input, tiles, output format and execution provider, for reports."""
        choice = {"small": [self._network.size], "large": [self._network.large]}
        both = dict.fromkeys([self._network.size, self._network.large])
        sizes = " or ".join(f"{w}x{h}" for w, h in choice.get(self._input_choice, both))
        tiles = f", {self._tiles}x{self._tiles} tiles" if self._tiles > 1 else ""
        return {
            "file": str(self.path),
            "input": f"{self.card.input} {sizes}{tiles}",
            "output_format": self.output_format,
            "provider": self._network.provider,
        }

    def detect(
        self,
        image: UInt8Image | None,
        aligned: AlignedPair,
        *,
        score: float = 0.0,
        iou: float = 0.0,
    ) -> tuple[Detection, ...]:
        """Return the objects in a picture, best first, at most ``MAX_DETECTIONS``.

        Args:
            image: ``HxWx3`` uint8 RGB; a detector for pairs does not look at it.
            aligned: The pair that the picture was fused from; the input of a detector for pairs.
            score: Least score; 0: the model's own.
            iou: Overlap above which boxes of a class are one; 0: the model's own.

        Raises:
            DetectorError: The network fails, or gives NaN.
        """
        if self.takes_pair:
            pictures: tuple[UInt8Image, ...] = pair_pictures(aligned)
        else:
            assert image is not None, "a detector of pictures is given one"
            pictures = (image,)
        least = score or self.card.conf
        found = self._named(self._found(pictures, least, iou or self.card.iou))
        return weigh_by_thermal(found, aligned, least) if self.takes_pair else found

    def _found(self, pictures: Sequence[UInt8Image], least: float, iou: float) -> Candidates:
        """Return the objects in the whole view and in its tiles."""
        whole = self._seen(pictures, least, iou)
        height, width = pictures[0].shape[:2]
        tiles = tiles_of((width, height), self._tiles)
        if not tiles:
            return whole
        parts = [
            tile.placed(
                self._seen([tile.cut(each) for each in pictures], least, iou), (width, height)
            )
            for tile in tiles
        ]
        return strongest(joined([whole, *parts]), least, iou)

    def _seen(self, pictures: Sequence[UInt8Image], least: float, iou: float) -> Candidates:
        """Return the objects that the network sees in pictures of one view or a part of it."""
        height, width = pictures[0].shape[:2]
        size = self._input_for((width, height))
        letterbox = Letterbox.of((width, height), size, self._format.fit)
        # Networks for pairs are trained here, on pictures that are much reduced without aliasing.
        reduced = self.takes_pair and letterbox.placed[0] < _MUCH_REDUCED * width
        interpolation = cv2.INTER_AREA if reduced else cv2.INTER_LINEAR
        painted = [letterbox.paint(picture, interpolation) for picture in pictures]
        outputs = self._network.run(_blob(painted, self._format))
        self._require_numbers(outputs)
        found = self._merged(self._decode(outputs, size), size, least, iou)
        return found._replace(boxes=letterbox.to_picture(found.boxes))

    def _input_for(self, picture: Size) -> Size:
        """Return width and height of the input for a picture."""
        if self._input_choice != "auto":
            return self._network.large if self._input_choice == "large" else self._network.size
        placed = Letterbox.of(picture, self._network.size, self._format.fit).placed
        much_reduced = placed[0] < _MUCH_REDUCED * picture[0]
        return self._network.large if much_reduced else self._network.size

    def _merged(self, candidates: Candidates, size: Size, least: float, iou: float) -> Candidates:
        """Return one candidate for each object."""
        if not self._format.suppress:
            return strongest(candidates, least, None)
        if not self.takes_pair:
            return strongest(candidates, least, iou)
        auxiliary = len(candidates.scores) == 2 * grid_count(size, STRIDES)
        return merge_views(candidates, least, iou, auxiliary=auxiliary)

    def _recognised(self, outputs: Outputs) -> str:
        """Return the name of the format of the outputs."""
        name = detect_format(outputs, self._network.size, len(self.card.names) or None)
        if name is None:
            shapes = ", ".join(f"{name} {list(out.shape)}" for name, out in outputs.items())
            raise DetectorError(
                f"{self.path}: outputs {shapes} are of no known output format; name one in "
                f"detection.output_format: {', '.join(OUTPUT_FORMATS)}"
            )
        return name

    def _decode(self, outputs: Outputs, size: Size) -> Candidates:
        try:
            return self._format.decode(outputs, size)
        except (ValueError, IndexError, StopIteration, KeyError) as error:
            shapes = ", ".join(f"{name} {list(out.shape)}" for name, out in outputs.items())
            raise DetectorError(
                f"{self.path}: outputs {shapes} are not of format {self.output_format!r} "
                f"({error}); name another in detection.output_format: auto, "
                f"{', '.join(OUTPUT_FORMATS)}"
            ) from None

    def _require_numbers(self, outputs: Outputs) -> None:
        """Raise where an output holds NaN, which no threshold would ever let through.

        Raises:
            DetectorError: It does.
        """
        floats = {name: out for name, out in outputs.items() if out.dtype.kind == "f"}
        for name, out in floats.items():
            if np.isnan(out).any():
                raise DetectorError(f"{self.path}: gives NaN in {name!r}; export it again")

    def _named(self, found: Candidates) -> tuple[Detection, ...]:
        """Return candidates in the image as detections.

        Left out is what lies outside it, and, where classes have names, what has none: the
        background that some networks list beside their classes.
        """
        rows = zip(found.boxes, found.scores, found.classes, strict=True)
        return tuple(
            Detection(
                label=self.class_names.label(int(number)),
                score=float(min(score, 1.0)),
                box=(float(x0), float(y0), float(x1 - x0), float(y1 - y0)),
            )
            for (x0, y0, x1, y1), score, number in rows
            if x1 > x0 and y1 > y0 and self.class_names.has(int(number))
        )


def pair_pictures(aligned: AlignedPair) -> tuple[UInt8Image, UInt8Image]:
    """Return a pair as ``HxWx3`` uint8 RGB and ``HxW`` uint8 thermal.

    Pixels that a camera does not see are gray 114.
    """
    height, width = aligned.valid.shape
    visible = aligned.visible
    if visible is None:
        visible = np.full((height, width, 3), PADDING, np.uint8)
    if aligned.thermal is None:
        return visible, np.full((height, width), PADDING, np.uint8)
    thermal = np.asarray(cv2.convertScaleAbs(aligned.thermal, alpha=255), np.uint8)  # rounds
    if not aligned.valid.all():
        thermal[~aligned.valid] = PADDING
    return visible, thermal


def _blob(painted: Sequence[UInt8Image], output_format: OutputFormat) -> NDArray[np.float32]:
    """Return ``HxWxC`` and ``HxW`` uint8 as the ``1xCxHxW`` float32 that a format takes."""
    planes = [plane for picture in painted for plane in cv2.split(picture)]
    if output_format.bgr:
        planes.reverse()
    blob = np.empty((1, len(planes), *planes[0].shape), np.float32)
    means, stds = (
        np.resize(values, len(planes)) for values in (output_format.mean, output_format.std)
    )
    for target, plane, mean, std in zip(blob[0], planes, means, stds, strict=True):
        np.multiply(plane, np.float32(output_format.scale / std), out=target)
        if mean:
            np.subtract(target, np.float32(mean / std), out=target)
    return blob
