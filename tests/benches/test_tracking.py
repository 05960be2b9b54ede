"""The bench of trackers: scores on tracks whose quality is known, and a short street."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from fusion_core.errors import SourceError, UsageError
from fusion_core.types import Detection
from fusion_lab.benches.tracking.bench import TrackingBench
from fusion_lab.benches.tracking.recorded import observe_recording, read_people
from fusion_lab.benches.tracking.scores import score_tracks
from fusion_lab.benches.tracking.sequences import Observation
from fusion_lab.benches.tracking.trackers import own_tracks, resting_tracks
from fusion_lab.data import aligned_pair

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


def test_frames_whose_objects_are_not_known_are_not_judged():
    seen = [replace(frame, judged=index % 5 == 0) for index, frame in enumerate(frames())]
    tracks = named(seen, lambda n, index: n + (1 if index % 5 == 0 else 7))
    assert score_tracks(seen, tracks).hota == pytest.approx(1)


def test_what_lies_in_an_ignored_region_counts_only_where_it_meets_an_object():
    seen = [replace(frame, ignore=((0.0, 0.0, 640.0, 480.0),)) for frame in frames()]
    nobody = Detection("person", 1.0, (400.0, 300.0, 30.0, 60.0), 99)
    tracks = [[*found, nobody] for found in named(seen, lambda n, _: n + 1)]
    assert score_tracks(seen, tracks).hota == pytest.approx(1)
    open_ground = [replace(frame, ignore=()) for frame in seen]
    assert score_tracks(open_ground, tracks).hota < 0.9


@pytest.fixture
def recording(tmp_path):
    """Six frames of 64 x 48, of which two are labelled; one region of one is ignored."""
    for kind in ("vi", "ir"):
        four = cv2.VideoWriter_fourcc(*"mp4v")
        video = cv2.VideoWriter(str(tmp_path / f"{kind}.mp4"), four, 10, (64, 48))
        for index in range(6):
            video.write(np.full((48, 64, 3), 40 + 30 * index, np.uint8))
        video.release()
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "001.csv").write_text("label,x,y,w,h\nperson,5,5,10,20\n")
    (tmp_path / "labels" / "004.csv").write_text("label,x,y,w,h\nignore,30,5,20,30\n")
    (tmp_path / "who.csv").write_text("frame,identity,x,y,w,h\n1,7,5,5,10,20\n4,7,8,5,10,20\n")
    return tmp_path


def nearly(visible, _):
    """Find a person and a cycle in every frame."""
    pair = aligned_pair(visible.image, visible.image[..., 0], visible.stamp_ns)
    return pair, (
        Detection("person", 0.9, (5.0, 5.0, 10.0, 20.0)),
        Detection("cycle", 0.9, (30.0, 5.0, 9.0, 9.0)),
    )


def test_a_recording_is_judged_where_people_were_told_apart(recording):
    people = read_people(recording / "who.csv")
    seen = list(observe_recording(recording, people, nearly))
    assert [frame.judged for frame in seen] == [True, False, False, True]
    assert [[number for number, _ in frame.truth] for frame in seen] == [[7], [], [], [7]]
    assert [frame.ignore for frame in seen] == [(), (), (), ((30.0, 5.0, 20.0, 30.0),)]
    assert all([found.label for found in frame.detections] == ["person"] for frame in seen)
    assert score_tracks(seen, list(own_tracks(seen, 0.3))).switches == 0


def test_a_recording_that_ends_too_early_and_a_torn_list_are_one_clear_line(recording):
    people = {**read_people(recording / "who.csv"), 9: ()}
    with pytest.raises(SourceError, match="ends at frame 5, before frame 9"):
        list(observe_recording(recording, people, nearly))
    (recording / "who.csv").write_text("frame,identity,x,y,w,h\n1,7,5,here,10,20\n")
    with pytest.raises(SourceError, match="line 2: expected numbers"):
        read_people(recording / "who.csv")


def test_a_recording_needs_identities_and_a_detector(recording):
    with pytest.raises(UsageError, match="--identities"):
        TrackingBench(recording=recording, detector="default").measure()
    with pytest.raises(UsageError, match="--detector"):
        TrackingBench(recording=recording, identities=recording / "who.csv").measure()


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
