"""What the detectors see of a pair: as it is, with one camera broken, picture by picture."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import fusion_core
from fusion_core.config import Config
from fusion_core.detection import Detector
from fusion_core.detection.boxes import Candidates
from fusion_core.errors import UsageError
from fusion_core.pipeline import Pipeline
from fusion_core.types import AlignedPair, Detection, Frame, FramePair, Modality, UInt8Image
from fusion_lab.data import Example, Needs, aligned_pair, read_examples
from fusion_lab.evaluation.detecting import grouped

LEAST_SCORE = 0.01
BOTH = "pair"
STATES = ("black", "frozen", "missing", "frozen stream")
OTHER: dict[Modality, Modality] = {"visible": "thermal", "thermal": "visible"}
REFERENCE = "reference: "
_REPEATS = 4
_PERIOD_NS = 100_000_000


@dataclass(frozen=True, slots=True)
class Seen:
    """What a detector found in one view.

    Attributes:
        found: Its detections, however low their scores.
        threshold: Score from which on it reports detections.
    """

    found: Candidates
    threshold: float


def read_labelled(folder: Path) -> list[Example]:
    """Read the labelled pairs, or frames of a pair of videos, of a folder.

    Raises:
        SourceError: The folder holds none, or a file is missing, torn or of another size.
    """
    return read_examples([folder], needs=Needs(labels=True))


class DetectorViews:
    """The detector under test, and a reference detector for single pictures.

    Args:
        detector: ``default`` or an ONNX file of a detector for pairs.
        reference: ONNX file of a detector for pictures; empty for none.
        model: Network that fuses the pictures that the reference sees.

    Raises:
        UsageError: The detector under test is one for single pictures.
    """

    def __init__(self, detector: str, reference: str, model: str) -> None:
        self._detector = Detector(detector)
        if not self._detector.takes_pair:
            raise UsageError(
                f"detector {detector}: looks at single pictures, of which no camera can be broken; "
                "give it as --reference beside a detector for pairs"
            )
        self._reference = Detector(reference) if reference else None
        self._pipeline = _pipeline(detector, model) if reference else None
        self._model = model
        self._stamp_ns = 0

    @property
    def has_reference(self) -> bool:
        """Whether there is a reference detector."""
        return self._reference is not None

    def see(self, pair: Example, other: Example) -> dict[str, Seen]:
        """Return what is found in every view of a pair.

        Args:
            pair: The pair.
            other: Another pair of its size; what a frozen camera shows.
        """
        both = aligned_pair(pair.first, pair.second)
        dark_visible, dark_thermal = np.zeros_like(pair.first), np.zeros_like(pair.second)
        shown = {
            BOTH: both,
            "thermal black": aligned_pair(pair.first, dark_thermal),
            "visible black": aligned_pair(dark_visible, pair.second),
            "thermal frozen": aligned_pair(pair.first, other.second),
            "visible frozen": aligned_pair(other.first, pair.second),
            "thermal missing": replace(both, thermal=None),
            "visible missing": replace(both, visible=None),
        }
        views = {
            name: _seen(self._detector, pair.first, aligned) for name, aligned in shown.items()
        }
        if self._reference is not None:
            fused = fusion_core.fuse(pair.second, pair.first, model=self._model)
            pictures = {
                "visible": pair.first,
                "thermal": np.repeat(pair.second[:, :, None], 3, axis=2),
                "fused": fused,
            }
            for name, picture in pictures.items():
                views[REFERENCE + name] = _seen(self._reference, picture, both)
        return views

    def see_streams(self, pair: Example, other: Example) -> dict[str, Seen]:
        """Return what the whole pipeline finds when either camera's stream is frozen."""
        shown: dict[Modality, tuple[UInt8Image, UInt8Image]] = {
            "thermal": (pair.first, other.second),
            "visible": (other.first, pair.second),
        }
        return {
            f"{frozen} frozen stream": Seen(
                grouped(self._end_of_stream(*images, frozen), self._detector),
                self._detector.card.conf,
            )
            for frozen, images in shown.items()
        }

    def _end_of_stream(
        self, visible: UInt8Image, thermal: UInt8Image, frozen: Modality
    ) -> tuple[Detection, ...]:
        """Return what is found once one camera repeats its picture and the other still pans."""
        assert self._pipeline is not None, "streams are compared with the reference's targets"
        for shift in reversed(range(_REPEATS)):
            self._stamp_ns += _PERIOD_NS
            panned = {"visible": visible, "thermal": thermal}
            panned[OTHER[frozen]] = np.roll(panned[OTHER[frozen]], shift, axis=1)
            first = Frame(self._stamp_ns, "visible", panned["visible"], "rgb8")
            second = Frame(self._stamp_ns, "thermal", panned["thermal"], "mono8")
            fused = self._pipeline.step(FramePair(self._stamp_ns, first, second, skew_ns=0))
        return fused.detections if fused else ()

    def close(self) -> None:
        """End the pipeline."""
        if self._pipeline is not None:
            self._pipeline.close()


def _pipeline(detector: str, model: str) -> Pipeline:
    detection = {"track": False}
    settings = {"model": model, "prior": "none", "detector": detector, "detection": detection}
    return Pipeline(Config.from_dict(settings))


def _seen(detector: Detector, picture: UInt8Image, pair: AlignedPair) -> Seen:
    found = detector.detect(picture, pair, score=LEAST_SCORE)
    return Seen(grouped(found, detector), detector.card.conf)
