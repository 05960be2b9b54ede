"""HOTA, IDF1 and switches of identities, by TrackEval."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion_core.detection.boxes import FloatArray, areas, intersections, overlaps
from fusion_core.errors import MissingExtraError
from fusion_core.types import Detection
from fusion_lab.benches.tracking.sequences import Observation

_MET = 0.5  # overlap from which on a track in an ignored region is that of an object


@dataclass(frozen=True, slots=True)
class TrackScores:
    """How well identities were held; shares are in [0, 1].

    Attributes:
        hota: Higher-order tracking accuracy (Luiten et al., IJCV 2021), the mean over overlaps of
            0.05 to 0.95.
        association: Its part that judges identities alone (AssA).
        idf1: Share of detections with the right identity (Ristani et al., 2016).
        switches: Times that an object got another identity.
        identities: Identities given.
        objects: Objects there are.
    """

    hota: float
    association: float
    idf1: float
    switches: int
    identities: int
    objects: int


def score_tracks(
    observations: Sequence[Observation], tracked: Sequence[Sequence[Detection]]
) -> TrackScores:
    """Compare tracks with the objects of a scene.

    Args:
        observations: The frames; only those that are judged count.
        tracked: What a tracker gave for each of them; only what has an identity counts, and what
            lies by half of its area in an ignored region only where it meets an object.

    Raises:
        MissingExtraError: TrackEval is not installed.
    """
    metrics = _metrics()
    data = _numbered(observations, tracked)
    with contextlib.redirect_stdout(io.StringIO()):
        hota = metrics.HOTA().eval_sequence(data)
        identity = metrics.Identity({"PRINT_CONFIG": False}).eval_sequence(data)
        clear = metrics.CLEAR({"PRINT_CONFIG": False}).eval_sequence(data)
    return TrackScores(
        hota=float(np.mean(hota["HOTA"])),
        association=float(np.mean(hota["AssA"])),
        idf1=float(identity["IDF1"]),
        switches=int(clear["IDSW"]),
        identities=data["num_tracker_ids"],
        objects=data["num_gt_ids"],
    )


def _metrics() -> Any:  # noqa: ANN401 - TrackEval has no types
    try:
        # It reports on screen which of its benchmarks lack a package.
        with contextlib.redirect_stdout(io.StringIO()):
            from trackeval import metrics
    except ImportError:
        raise MissingExtraError(
            "scores of tracks need TrackEval: pip install --no-deps trackeval (its requirement "
            "opencv-python would replace opencv-python-headless)"
        ) from None
    return metrics


def _numbered(
    observations: Sequence[Observation], tracked: Sequence[Sequence[Detection]]
) -> dict[str, Any]:
    """Return a sequence as TrackEval takes it: identities from 0 on, and overlaps per frame."""
    truth_numbers: dict[int, int] = {}
    track_numbers: dict[int, int] = {}
    truth_ids, track_ids, similarity = [], [], []
    for observation, found in zip(observations, tracked, strict=True):
        if not observation.judged:
            continue
        counted = _counted(observation, [f for f in found if f.track_id is not None])
        kept = [(f.track_id, f) for f in counted if f.track_id is not None]
        truth_ids.append(_numbers(truth_numbers, [number for number, _ in observation.truth]))
        track_ids.append(_numbers(track_numbers, [number for number, _ in kept]))
        similarity.append(_similarity([d for _, d in observation.truth], [d for _, d in kept]))
    return {
        "gt_ids": truth_ids,
        "tracker_ids": track_ids,
        "similarity_scores": similarity,
        "num_gt_ids": len(truth_numbers),
        "num_tracker_ids": len(track_numbers),
        "num_gt_dets": sum(len(ids) for ids in truth_ids),
        "num_tracker_dets": sum(len(ids) for ids in track_ids),
        "num_timesteps": len(truth_ids),
    }


def _counted(observation: Observation, found: Sequence[Detection]) -> list[Detection]:
    """Return what is found, without what lies in ignored regions and meets no object."""
    ignored = _corners([Detection("", 0.0, box) for box in observation.ignore])
    boxes = _corners(found)
    covered = (intersections(boxes, ignored) > areas(boxes)[:, None] / 2).any(axis=1)
    meets = _similarity([d for _, d in observation.truth], found).max(axis=0, initial=0.0)
    counts: NDArray[np.bool_] = np.logical_or(~covered, meets >= _MET)
    return [f for f, is_counted in zip(found, counts, strict=True) if is_counted]


def _numbers(known: dict[int, int], identities: list[int]) -> NDArray[np.int64]:
    return np.array([known.setdefault(i, len(known)) for i in identities], np.int64)


def _similarity(truth: Sequence[Detection], found: Sequence[Detection]) -> FloatArray:
    """Return overlaps; things of different classes have none."""
    same = np.array([[t.label == f.label for f in found] for t in truth], bool)
    whole = overlaps(_corners(truth), _corners(found))
    return np.asarray(whole * same.reshape(whole.shape), np.float64)


def _corners(detections: Sequence[Detection]) -> FloatArray:
    boxes = np.array([d.box for d in detections], np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return boxes
