"""The worst moments of a recording, with pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import cv2

from fusion_core.sink.report_series import ReportSample
from fusion_core.types import FusedFrame, UInt8Image

MOMENTS_FILE: Final = "moments/moments.json"
_KEPT: Final = 2
_APART_NS: Final = 1_000_000_000
_WEBP_QUALITY: Final = 90  # the page's own pictures are made from these


@dataclass(frozen=True, slots=True)
class Moment:
    """One result that is worth a look.

    Attributes:
        recording: Name of the recording.
        frame: Number of the result.
        badness: Number of the conditions that held, plus 1 minus the quality score.
        conditions: Conditions that held.
        pictures: Caption -> name of a file below the recording's folder.
    """

    recording: str
    frame: int
    badness: float
    conditions: tuple[str, ...]
    pictures: Mapping[str, str]


def badness(fused: FusedFrame) -> float:
    """Return how bad a result is: the number of its conditions, plus 1 minus the quality score."""
    quality = 1.0 if fused.quality is None else float(fused.quality)
    return len(fused.health) + 1.0 - quality


class MomentSelector:
    """Keeps the pictures of the worst two results of a run that are at least a second apart."""

    def __init__(self) -> None:
        self._kept: list[tuple[float, ReportSample]] = []

    def consider_result(self, fused: FusedFrame) -> None:
        """Keep a result's pictures where it is worse than what is kept."""
        score = badness(fused)
        near = [kept for kept in self._kept if abs(kept[1].stamp_ns - fused.stamp_ns) < _APART_NS]
        rivals = near or (self._kept if len(self._kept) >= _KEPT else [])
        if near and score <= max(kept[0] for kept in near):
            return
        if rivals and not near:
            least = min(self._kept, key=lambda kept: kept[0])
            if score <= least[0]:
                return
            rivals = [least]
        self._kept = [kept for kept in self._kept if all(kept is not rival for rival in rivals)]
        self._kept.append((score, ReportSample.of(fused)))

    def save(self, folder: Path, recording: str) -> None:
        """Write the pictures and ``moments.json``.

        Raises:
            OSError: The disk is full or gone.
        """
        listed = []
        (folder / MOMENTS_FILE).parent.mkdir(exist_ok=True)
        for score, sample in sorted(self._kept, key=lambda kept: -kept[0]):
            pictures = {}
            for number, (caption, picture) in enumerate(sample.pictures.items()):
                name = f"moments/{sample.frame:06d}-{number}.webp"
                (folder / name).write_bytes(_webp(picture))
                pictures[caption] = name
            moment = Moment(recording, sample.frame, round(score, 4), sample.health, pictures)
            listed.append(asdict(moment))
        (folder / MOMENTS_FILE).write_text(json.dumps(listed, indent=1) + "\n", encoding="utf-8")


def moment_from(values: Mapping[str, Any]) -> Moment:
    """Return the moment of these plain values."""
    return Moment(**{**values, "conditions": tuple(values["conditions"])})


def _webp(picture: UInt8Image) -> bytes:
    ordered = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    quality = [cv2.IMWRITE_WEBP_QUALITY, _WEBP_QUALITY]
    return bytes(cv2.imencode(".webp", ordered, quality)[1].tobytes())
