"""The bench of trackers: scores on tracks whose quality is known, and a short street."""

import numpy as np
import pytest

from fusion_core.errors import UsageError
from fusion_core.types import Detection
from fusion_lab.benches.tracking.bench import TrackingBench
from fusion_lab.benches.tracking.scores import score_tracks
from fusion_lab.benches.tracking.sequences import Observation
from fusion_lab.benches.tracking.trackers import own_tracks, resting_tracks

pytest.importorskip("trackeval", reason="scripts/test installs TrackEval without its requirements")


def walk(number, index):
    return (20.0 + 4 * index, 100.0 * number, 30.0, 60.0)


def frames(count=20, objects=2):
    """People that walk side by side, found exactly."""
    result = []
    for index in range(count):
        seen = [Detection("person", 0.9, walk(n, index)) for n in range(objects)]
        truth = tuple(enumerate(seen))
        result.append(Observation(index * 100_000_000, tuple(seen), np.eye(2, 3), truth))
    return result


def named(observations, name):
    """Give each object of each frame the identity that ``name`` says."""
    return [
        [Detection(d.label, 1.0, d.box, name(n, index)) for n, d in seen.truth]
        for index, seen in enumerate(observations)
    ]


def test_perfect_tracks():
    seen = frames()
    scores = score_tracks(seen, named(seen, lambda n, _: n + 1))
    assert (scores.hota, scores.association, scores.idf1) == pytest.approx((1, 1, 1))
    assert (scores.switches, scores.identities, scores.objects) == (0, 2, 2)


def test_an_identity_lost_halfway_by_hand():
    """Each object has two tracks of half its length: of 20 sightings 10 have the better one, so
    IDF1 is a half; AssA of every sighting is 10 / (20 + 10 - 10), HOTA its square root."""
    seen = frames()
    scores = score_tracks(seen, named(seen, lambda n, i: n + (10 if i >= 10 else 1)))
    assert scores.idf1 == pytest.approx(0.5)
    assert scores.association == pytest.approx(0.5)
    assert scores.hota == pytest.approx(0.5**0.5)
    assert (scores.switches, scores.identities) == (2, 4)


def test_the_right_place_with_the_wrong_class_is_no_track():
    seen = frames()
    tracks = [[Detection("vehicle", 1.0, d.box, n + 1) for n, d in frame.truth] for frame in seen]
    assert score_tracks(seen, tracks).hota == 0


def test_without_identities_there_is_nothing():
    seen = frames()
    assert score_tracks(seen, named(seen, lambda *_: None)).hota == 0


def test_the_trackers_follow_what_is_found_exactly():
    seen = frames(30)
    assert score_tracks(seen, list(own_tracks(seen, 0.3))).idf1 > 0.95
    # With the detector on every third frame the identity comes with the fourth.
    assert score_tracks(seen, list(resting_tracks(seen, 0.3))).idf1 > 0.9


def test_the_synthetic_street_has_identities():
    """Half a second of it: everyone is the same object in every frame."""
    bench = TrackingBench(seconds=0.4, sequences=("all of these",))
    result = bench.measure()
    scores = result.sequences["all of these"]["fusion"]
    assert 3 <= scores.objects <= 13
    (table,) = result.tables()
    assert "| mean | fusion, detector on every third frame |" in table.markdown()


def test_an_unknown_sequence_is_named():
    with pytest.raises(UsageError, match="'walk': known are street, smoke"):
        TrackingBench(sequences=("walk",)).measure()
