"""The bench of trackers: options and tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from fusion_core.cli.settings import Assignments
from fusion_core.detection.labels import CLASS_OF
from fusion_core.detection.tracking import LOW_SCORE
from fusion_core.errors import UsageError
from fusion_core.pipeline import Pipeline
from fusion_core.thermal import ThermalConfig, ThermalProcessor
from fusion_core.types import AlignedPair, Detection, Frame, FramePair
from fusion_lab.benches.command import BenchCommand
from fusion_lab.benches.configuration import bench_config
from fusion_lab.benches.tables import Table
from fusion_lab.benches.tracking.recorded import observe_recording, read_people
from fusion_lab.benches.tracking.scores import TrackScores, score_tracks
from fusion_lab.benches.tracking.sequences import (
    SEQUENCES,
    Find,
    Observation,
    imitated,
    observe,
)
from fusion_lab.benches.tracking.trackers import PEERS, own_tracks, peer_tracks, resting_tracks

_IMITATED = "imitated"
_THRESHOLD = 0.3


@dataclass(frozen=True, slots=True)
class TrackingResult:
    """Scores of all trackers.

    Attributes:
        sequences: Name of the sequence -> name of the tracker -> scores.
    """

    sequences: Mapping[str, Mapping[str, TrackScores]]

    def tables(self) -> Sequence[Table]:
        """Return one row for each sequence and tracker, and the means over sequences."""
        head = ("sequence", "tracker", "HOTA", "AssA", "IDF1", "switches", "identities / objects")
        rows = [
            (name, tracker, s.hota, s.association, s.idf1, s.switches, _share(s))
            for name, trackers in self.sequences.items()
            for tracker, s in trackers.items()
        ]
        for tracker in next(iter(self.sequences.values())):
            every = [trackers[tracker] for trackers in self.sequences.values()]
            hota, association, idf1 = (
                float(np.mean([getattr(scores, name) for scores in every]))
                for name in ("hota", "association", "idf1")
            )
            switches = sum(scores.switches for scores in every)
            rows.append(("mean", tracker, hota, association, idf1, switches, ""))
        return [Table("", head, tuple(rows), digits=3)]


@dataclass(frozen=True, kw_only=True)
class TrackingBench(BenchCommand):
    """Measure how well identities hold on synthetic streets, in which every object is known.

    The street has people who cross, cars that hide them, and a camera that patrols; sequences add
    smoke, night, lost frames, a camera that swings, and objects that are hidden for a second. All
    trackers get the same detections: those of the detector in the whole pipeline, or `imitated`
    ones, made from the truth with misses, false finds, changes of class and inexact edges. HOTA,
    IDF1 and switches of identities are TrackEval's.

    With --recording and --identities the trackers run on a recording instead, and are judged in the
    frames in which its people were told apart by eye.
    """

    detector: Annotated[str, tyro.conf.arg(metavar="imitated|default|FILE.onnx")] = _IMITATED
    """Where detections come from."""
    sequences: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME")] = tuple(SEQUENCES)
    """Which of the sequences; all when not given."""
    recording: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Folder with vi.mp4, ir.mp4 and labels/; instead of the sequences."""
    identities: Annotated[Path | None, tyro.conf.arg(metavar="FILE.csv")] = None
    """Who is where in the recording: frame,identity,x,y,w,h."""
    seed: int = 1
    """Number of the street."""
    seconds: float = 16.0
    """Length of each sequence."""
    peers: bool = False
    """Compare with trackers of the package `trackers` as well."""
    settings: Assignments = ()
    """Any other setting of the pipeline; prior is none when not given."""

    def measure(self) -> TrackingResult:
        """Run all trackers on all sequences, or on the recording."""
        if self.recording or self.identities:
            return self._measure_recording()
        for name in self.sequences:
            if name not in SEQUENCES:
                raise UsageError(f"sequence {name!r}: known are {', '.join(SEQUENCES)}")
        with ExitStack() as opened:
            threshold, find = self._detector(opened)
            return TrackingResult(
                {
                    name: dict(self._score(list(self._observe(name, find)), threshold))
                    for name in self.sequences
                }
            )

    def _measure_recording(self) -> TrackingResult:
        if self.recording is None or self.identities is None or self.detector == _IMITATED:
            raise UsageError(
                "a recording needs --recording, --identities, and a --detector, such as default"
            )
        with ExitStack() as opened:
            threshold, find = self._detector(opened)
            frames = list(observe_recording(self.recording, read_people(self.identities), find))
        name = self.recording.name
        return TrackingResult({name: dict(self._score(frames, threshold))})

    def _observe(self, name: str, find: Find) -> Iterator[Observation]:
        return observe(SEQUENCES[name], self.seed, self.seconds, find)

    def _score(
        self, frames: Sequence[Observation], threshold: float
    ) -> Iterator[tuple[str, TrackScores]]:
        own = {
            "fusion": own_tracks(frames, threshold),
            "fusion, camera motion not taken out": own_tracks(frames, threshold, motion=False),
            "fusion, detector on every third frame": resting_tracks(frames, threshold),
        }
        peers = {name: peer_tracks(name, frames, threshold) for name in PEERS if self.peers}
        for name, tracks in (own | peers).items():
            yield name, score_tracks(frames, list(tracks))

    def _detector(self, opened: ExitStack) -> tuple[float, Find]:
        """Return the threshold of the detector, and what finds objects."""
        if self.detector == _IMITATED:
            return _THRESHOLD, _Imitation(self.seed)
        least = LOW_SCORE * _THRESHOLD
        settings = (*self.settings, "detection.track=false", f"detection.score_threshold={least}")
        config = bench_config(settings, "m2pn-edge", detector=self.detector, prior="none")
        pipeline = opened.enter_context(Pipeline(config))
        return _THRESHOLD, lambda visible, thermal: _found(pipeline, visible, thermal)


class _Imitation:
    """Makes up detections, and leaves the pair as it is."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._thermal = ThermalProcessor(ThermalConfig())

    def __call__(self, visible: Frame, thermal: Frame) -> tuple[AlignedPair, tuple[Detection, ...]]:
        assert visible.truth is not None, "visible frames of a scene have its truth"
        luminance = self._thermal.process(thermal).luminance
        valid = np.ones(luminance.shape, bool)
        aligned = AlignedPair(visible.stamp_ns, visible.image, luminance, valid)
        return aligned, imitated(self._rng, visible.truth)


def _found(
    pipeline: Pipeline, visible: Frame, thermal: Frame
) -> tuple[AlignedPair, tuple[Detection, ...]]:
    fused = pipeline.step(FramePair(visible.stamp_ns, visible, thermal, skew_ns=0))
    assert fused is not None, "the scene's shutter is never closed"
    return fused.aligned, tuple(d for d in fused.detections if d.label in CLASS_OF)


def _share(scores: TrackScores) -> str:
    return f"{scores.identities} / {scores.objects}"
