"""The mask of a frame: set live, from disk, or made from the frame."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from fusion_core.errors import MaskError
from fusion_core.masks.files import MaskFiles
from fusion_core.masks.marks import Marks, Scene
from fusion_core.masks.regions import VEHICLES, hot_regions, labelled_regions
from fusion_core.masks.settings import MaskConfig, parse_boxes
from fusion_core.types import AlignedPair, Box, Detection, FloatImage, Frame, UInt8Image

_log = logging.getLogger(__name__)
REJECTED = "mask_rejected"
# Detections of a frame longer ago than this are not used.
_DETECTIONS_NS = 500_000_000
NAMED: Final[Mapping[str, frozenset[str]]] = {
    "people": frozenset({"person"}),
    "vehicles": VEHICLES,
}
"""What a text can name -> labels of detectors."""
# Each reason is logged once; a stream of ever new reasons must not fill the log.
_MOST_WARNINGS = 50
_MOST_ASKED = 32


class MaskProvider:
    """Provides the mask of each frame.

    A mask that was set live and still counts comes first, then what was pointed at, then the file
    or folder, then the source of the settings.

    Args:
        config: Settings.

    Raises:
        MaskError: The file or folder is missing, or holds no masks.
    """

    def __init__(self, config: MaskConfig) -> None:
        self._config = config
        self._labels = frozenset(config.labels)
        self._files = MaskFiles(Path(config.file)) if config.file else None
        self._given: tuple[FloatImage, float] | None = None
        self._named: frozenset[str] = frozenset()
        self._found: tuple[tuple[Detection, ...], int] = ((), 0)
        self._marks = Marks()
        self._asked: list[tuple[float, float] | Box] = [*parse_boxes(config.box)]
        self._boxes = False
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._problem = ""
        self._warnings = 0

    @property
    def needs_detections(self) -> bool:
        """Whether detections are the source of masks."""
        return self._config.source == "detector" and self._files is None

    def name(self, things: Collection[str]) -> None:
        """Take what a text names: while it names things, detections of these are the mask.

        Args:
            things: Of ``NAMED``; others are not the detector's to find.
        """
        labels = (NAMED[thing] for thing in things if thing in NAMED)
        self._named = frozenset().union(*labels)

    @property
    def uses_detections(self) -> bool:
        """Whether detections can change a mask now: marked objects are followed by them."""
        named = bool(self._named) and self._files is None
        return self.needs_detections or named or bool(self._marks or self._asked)

    def set_mask(self, mask: UInt8Image | None) -> None:
        """Take a mask, from any thread.

        Args:
            mask: ``HxW`` uint8, every value but zero marks; None withdraws the one in force.
        """
        if mask is None:
            with self._lock:
                self._given = None
            return
        marked = (mask > 0).astype(np.float32)
        with self._lock:
            self._given = marked, time.monotonic()
            self._counts["given"] += 1

    def point_at(self, place: tuple[float, float] | Box | None) -> None:
        """Mark the object at a point or in a box until it is taken back, from any thread.

        Args:
            place: x and y, or left, top, width and height, in pixels of the visible image; None
                takes all back.
        """
        with self._lock:
            if place is None:
                self._asked.clear()
                self._marks.remove(None)
            elif len(self._asked) < _MOST_ASKED:
                self._asked.append(place)

    def count_invalid_mask(self, reason: str) -> None:
        """Count a mask that cannot be used, and log why, once and not without end."""
        with self._lock:
            self._counts["rejected"] += 1
            known, self._problem = self._problem, reason
            self._warnings += reason != known
            warn = reason != known and self._warnings <= _MOST_WARNINGS
        if warn:
            _log.warning("mask not used: %s", reason)

    def set_detections(self, detections: Sequence[Detection], stamp_ns: int) -> None:
        """Remember what the detector found in a frame; it marks the next one."""
        self._found = tuple(detections), stamp_ns

    def mask_for(
        self, aligned: AlignedPair, frame: Frame | None, *, live: bool, boxes: bool = False
    ) -> tuple[FloatImage | None, tuple[str, ...]]:
        """Return the mask of a frame, ``HxW`` in [0, 1] or None, and the conditions that hold.

        Args:
            aligned: The pair that is fused.
            frame: Its visible frame as it came in; without one nothing is marked.
            live: A mask that does not fit is reported and left out, not raised. So is one that
                was set while the run goes on, in any run.
            boxes: Of what was pointed at the boxes are wanted, in which the network finds objects.

        Raises:
            MaskError: A mask from disk cannot be read or does not fit, and the run is not live.
        """
        if frame is None or aligned.visible is None:
            return None, ()
        height, width = aligned.visible.shape[:2]
        self._boxes = boxes
        try:
            mask = self._chosen(aligned, frame)
            if mask is not None and mask.shape != (height, width):
                raise MaskError(
                    f"mask of {mask.shape[1]}x{mask.shape[0]} for a visible image of "
                    f"{width}x{height}: a mask lies on the visible image's grid"
                )
        except MaskError as error:
            if not live and self._in_force() is None:
                raise
            self.count_invalid_mask(str(error))
            return None, (REJECTED,)
        with self._lock:
            self._counts["frames"] += mask is not None and bool(mask.any())
        return mask, ()

    def status(self) -> dict[str, Any]:
        """Return source, counts (frames with something marked, masks given, rejected), problem.

        ``boxes`` tells whether the network finds objects in boxes.
        """
        with self._lock:
            counts = {name: self._counts[name] for name in ("frames", "given", "rejected")}
            source = self._config.file or self._config.source
            return {
                "source": source,
                "boxes": self._boxes,
                **counts,
                "problem": self._problem,
            }

    def _chosen(self, aligned: AlignedPair, frame: Frame) -> FloatImage | None:
        if (given := self._in_force()) is not None:
            return given
        height, width = aligned.valid.shape
        recent = self._recent(aligned)
        scene = Scene(height, width, aligned.thermal, recent or ())
        self._mark_asked(scene)
        if self._marks:
            self._marks.follow(scene)
            return self._marks.mask(scene, boxes=self._boxes)
        if self._files is not None:
            return self._files.mask_for(frame)
        if self._named or self._config.source == "detector":
            return None if recent is None else self._detected(scene, self._named or self._labels)
        if self._config.source == "saliency" and aligned.thermal is not None:
            return hot_regions(aligned.thermal)
        return None

    def _in_force(self) -> FloatImage | None:
        with self._lock:
            if self._given is None:
                return None
            mask, since = self._given
            hold_s = self._config.hold_s
            return mask if not hold_s or time.monotonic() - since <= hold_s else None

    def _mark_asked(self, scene: Scene) -> None:
        """Mark what was pointed at since the last frame.

        Raises:
            MaskError: A place lies outside of the picture; those after it come with the next frame.
        """
        while self._asked:
            with self._lock:
                place = self._asked.pop(0)
            try:
                if len(place) == 2:
                    self._marks.add_point(scene.share_of(*place), scene)
                else:
                    self._marks.add_area(scene.area_of(place))
            except MaskError as error:
                shown = ",".join(f"{number:g}" for number in place)
                raise MaskError(f"prompt {shown}: {error}") from None

    def _recent(self, aligned: AlignedPair) -> tuple[Detection, ...] | None:
        """Return what was found last, None where that is too long ago."""
        detections, stamp_ns = self._found
        return detections if 0 <= aligned.stamp_ns - stamp_ns <= _DETECTIONS_NS else None

    @staticmethod
    def _detected(scene: Scene, labels: Collection[str]) -> FloatImage:
        wanted = [
            (found.label, found.box)
            for found in scene.detections
            if not labels or found.label in labels
        ]
        return labelled_regions(scene.thermal, wanted, scene.height, scene.width)
