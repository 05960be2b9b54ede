"""Identities on motions that are known."""

import numpy as np
import pytest

from fusion_core.detection.tracking import ObjectTracker
from fusion_core.types import Detection

SECOND = 1_000_000_000


def seen(x, y=100.0, score=0.9, label="person", size=(40.0, 80.0)):
    return Detection(label, score, (x, y, *size))


def ids(detections):
    return [detection.track_id for detection in detections]


def follow(tracker, frames):
    """Feed (seconds, detections) and return the identities of each frame."""
    return [ids(tracker.update(round(at * SECOND), found)) for at, found in frames]


@pytest.fixture
def tracker():
    return ObjectTracker(threshold=0.5, keep_s=1.0)


def test_an_identity_comes_with_the_second_sighting(tracker):
    assert follow(tracker, [(i / 10, [seen(10 + i)]) for i in range(4)]) == [[None], [1], [1], [1]]


def test_a_single_false_alarm_gets_none(tracker):
    frames = [(0.0, [seen(10)]), (0.1, []), (0.2, [seen(10)]), (0.3, [seen(10)])]
    assert follow(tracker, frames) == [[None], [], [None], [1]]


def test_two_that_cross_keep_theirs(tracker):
    """They pass each other at 150 px/s each; only their motion tells them apart in the middle."""
    frames = [(i / 15, [seen(100 + 10 * i, 100.0), seen(400 - 10 * i, 130.0)]) for i in range(30)]
    assert follow(tracker, frames)[2:] == [[1, 2]] * 28


def test_prediction_follows_stamps_across_dropped_frames(tracker):
    """300 px/s, 40 px wide: after 0.5 s without frames the old box is 150 px away, far from any
    overlap; a filter that counted frames would have moved it by 10 px only."""
    frames = [(i / 30, [seen(10 * i)]) for i in range(15)]
    frames += [(14 / 30 + 0.5, [seen(140 + 150)])]
    assert follow(tracker, frames)[-1] == [1]


def test_the_same_motion_at_any_frame_rate(tracker):
    """Frames at 5 to 60 Hz, mixed: 120 px/s."""
    at, frames = 0.0, []
    for i in range(40):
        frames.append((at, [seen(120 * at)]))
        at += (1 / 60, 1 / 5, 1 / 30)[i % 3]
    assert {tuple(found) for found in follow(tracker, frames)[2:]} == {(1,)}


def test_an_object_that_fades_keeps_its_identity(tracker):
    scores = [0.9, 0.9, 0.9, 0.3, 0.28, 0.9]
    frames = [(i / 10, [seen(10 + i, score=score)]) for i, score in enumerate(scores)]
    assert follow(tracker, frames) == [[None], [1], [1], [1], [1], [1]]


def test_low_scores_of_nothing_known_are_left_out(tracker):
    assert follow(tracker, [(i / 10, [seen(10, score=0.3)]) for i in range(4)]) == [[]] * 4


def test_far_too_low_scores_prolong_nothing(tracker):
    """Half the threshold, 0.25, is the limit."""
    frames = [(i / 10, [seen(10)]) for i in range(3)] + [(0.3, [seen(10, score=0.24)])]
    assert follow(tracker, frames)[-1] == []


@pytest.mark.parametrize(("gap", "identity"), [(0.9, 1), (1.1, None)])
def test_an_unseen_object_is_remembered_for_a_second(gap, identity, tracker):
    frames = [(i / 10, [seen(10)]) for i in range(3)]
    frames += [(0.2 + gap / 2, []), (0.2 + gap, [seen(10)])]
    assert follow(tracker, frames)[-1] == [identity]


def test_identities_are_never_given_again(tracker):
    frames = [(i / 10, [seen(10)]) for i in range(3)]
    frames += [(5 + i / 10, [seen(10)]) for i in range(3)]
    assert follow(tracker, frames)[-1] == [2]
    assert tracker.objects == {"person": 2}


def test_labels_do_not_mix(tracker):
    frames = [(i / 10, [seen(10), seen(10, label="cycle")]) for i in range(3)]
    frames += [(0.3, [seen(10, label="cycle"), seen(10)])]
    assert follow(tracker, frames)[-1] == [2, 1]
    assert tracker.objects == {"person": 1, "cycle": 1}


def test_a_change_of_class_keeps_the_identity(tracker):
    """A flicker of one picture, and a change for good; the boxes agree by 0.8."""
    labels = ["person"] * 3 + ["cycle"] + ["person"] * 2 + ["cycle"] * 3
    frames = [(i / 10, [seen(10 + 2 * i, label=label)]) for i, label in enumerate(labels)]
    assert follow(tracker, frames)[1:] == [[1]] * 8
    assert tracker.objects == {"person": 1}


def test_another_class_that_overlaps_a_little_is_another_object(tracker):
    frames = [(i / 10, [seen(10)]) for i in range(3)]
    frames += [(0.3 + i / 10, [seen(30, label="cycle")]) for i in range(2)]
    assert follow(tracker, frames)[-1] == [2]


def test_one_that_is_hidden_for_a_second_comes_back_where_it_went():
    """Walking 60 px/s behind a wall, measured to 2 px: the box there overlaps no prediction that
    is off by more than half of its width."""
    tracker, rng = ObjectTracker(0.5, 2.0), np.random.default_rng(7)
    found = []
    for i in range(60):
        x = 60 * i / 15 + rng.normal(0, 2)
        visible = not 25 <= i < 40
        found.append(tracker.update(i * SECOND // 15, [seen(x)] if visible else []))
    assert {d.track_id for frame in found[1:] for d in frame} == {1}


def test_a_lost_one_is_not_found_far_away_or_in_another_size(tracker):
    frames = [(i / 10, [seen(100)]) for i in range(10)] + [(1.0, [])]
    frames += [(1.1 + i / 10, [seen(300), seen(100, size=(90.0, 180.0))]) for i in range(2)]
    assert follow(tracker, frames)[-1] == [2, 3]


def test_memory_stays_bounded(tracker):
    """Thousands of objects that come, are seen twice, and go, within a second."""
    for i in range(20):
        shift = 400 * (i // 2)
        crowd = [seen(60 * n, 90.0 * m + shift * 10) for n in range(20) for m in range(10)]
        tracker.update(i * SECOND // 40, crowd)
    assert len(tracker._tracks) <= 1000


def test_time_that_goes_back_ends_all_tracks(tracker):
    frames = [(9 + i / 10, [seen(10)]) for i in range(3)] + [(0.0, [seen(10)]), (0.1, [seen(10)])]
    assert follow(tracker, frames)[-2:] == [[None], [2]]


def test_two_results_of_one_stamp(tracker):
    assert follow(tracker, [(1.0, [seen(10)]), (1.0, [seen(10)]), (1.0, [])]) == [[None], [1], []]


def test_boxes_and_scores_stay_those_of_the_detector(tracker):
    tracker.update(0, [seen(10)])
    (found,) = tracker.update(SECOND // 10, [seen(13.5, score=0.77)])
    assert (found.box, found.score) == ((13.5, 100.0, 40.0, 80.0), 0.77)


class TestWhileTheDetectorRests:
    """The detector looks at every third picture of 30 per second; the object moves 120 px/s."""

    def every_third(self, tracker, count, motion=None):
        for i in range(count):
            stamp = round(i / 30 * SECOND)
            if i % 3:
                yield i, tracker.predict(stamp, motion)
            else:
                yield i, tracker.update(stamp, [seen(4 * i)], motion)

    def test_its_boxes_are_predicted_and_say_so(self, tracker):
        for i, found in self.every_third(tracker, 30):
            if i < 4:
                continue
            (box,) = found
            assert (box.track_id, box.predicted) == (1, i % 3 != 0)
            assert box.box == pytest.approx((4 * i, 100.0, 40.0, 80.0), abs=3.0 if i < 9 else 0.5)

    def test_only_confirmed_objects_are_predicted(self, tracker):
        assert [len(found) for _, found in self.every_third(tracker, 5)] == [1, 0, 0, 1, 1]

    def test_what_the_detector_no_longer_saw_is_not_predicted(self, tracker):
        follow(tracker, [(i / 10, [seen(10)]) for i in range(3)])
        assert len(tracker.predict(SECOND // 4)) == 1
        tracker.update(3 * SECOND // 10, [])
        assert tracker.predict(35 * SECOND // 100) == ()


class TestMovingCamera:
    """A standing object, 30 px wide; the camera shakes by 80 px from picture to picture."""

    pan = np.array([[1.0, 0.0, 80.0], [0.0, 1.0, 0.0]])
    back = np.array([[1.0, 0.0, -80.0], [0.0, 1.0, 0.0]])

    def shaken(self, tracker, motions):
        x, found = 100.0, []
        for i, motion in enumerate(motions):
            x += motion[0, 2]
            box = [seen(x, size=(30.0, 60.0))]
            found.append(ids(tracker.update(i * SECOND // 10, box, motion)))
        return found

    def test_identities_stay_where_the_motion_is_known(self, tracker):
        motions = [self.pan, self.back, self.back, self.pan] * 5
        assert self.shaken(tracker, motions) == [[None]] + [[1]] * 19

    def test_a_turn_and_a_zoom_move_boxes_along(self, tracker):
        for i in range(3):
            tracker.update(i * SECOND // 10, [seen(100, 200.0)])
        turn = np.array([[0.0, -2.0, 500.0], [2.0, 0.0, 0.0]])  # a quarter to the right, twice
        (found,) = tracker.predict(2 * SECOND // 10, turn)
        # The centre (120, 240) goes to (-480 + 500, 240); 40 x 80 becomes 80 x 160, upright.
        assert found.box == pytest.approx((20 - 40, 240 - 80, 80, 160))
