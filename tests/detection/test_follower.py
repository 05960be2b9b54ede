"""Objects followed through frames whose detections come late or not at all."""

import numpy as np
import pytest

from fusion_core.detection.follower import ObjectFollower
from fusion_core.detection.tracking import ObjectTracker
from fusion_core.types import AlignedPair, Detection

PERIOD_NS = 33_333_333
NOISE = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
SPEED = 3.0  # pixels per frame


def pair(image, number):
    return AlignedPair(number * PERIOD_NS, image, None, np.ones(image.shape[:2], bool))


def seen(number):
    """Somebody who walks to the right."""
    return [Detection("person", 0.9, (50 + SPEED * number, 80.0, 20.0, 40.0))]


def follower():
    return ObjectFollower(ObjectTracker(0.5, 1.0))


def advance(follow, number):
    follow.advance(pair(NOISE, number))


def on_time(count):
    """Return a follower whose detector saw every frame, and what it said last."""
    follow = follower()
    for number in range(count):
        advance(follow, number)
        objects = follow.update(number + 1, number * PERIOD_NS, seen(number))
    return follow, objects


def test_seen_in_the_newest_frame_objects_are_where_they_were_seen():
    _, (found,) = on_time(10)
    assert found.box == seen(9)[0].box
    assert (found.track_id, found.predicted) == (1, False)


def test_objects_move_on_while_the_detector_rests():
    follow, _ = on_time(20)
    for number in range(20, 24):
        advance(follow, number)
        (found,) = follow.predict()
        assert found.predicted
        assert found.track_id == 1
        assert found.box[0] == pytest.approx(seen(number)[0].box[0], abs=1.0)


def test_a_late_answer_is_taken_in_as_of_its_own_frame():
    """An answer two frames late leads to what one in time and two predictions lead to."""
    late, _ = on_time(20)
    for number in (20, 21, 22):
        advance(late, number)
        late.predict()
    after = late.update(21, 20 * PERIOD_NS, seen(20))
    prompt, _ = on_time(21)
    for number in (21, 22):
        advance(prompt, number)
        expected = prompt.predict()
    assert after == expected
    # And it goes on from there in the same way.
    for follow in (late, prompt):
        advance(follow, 23)
    assert late.update(24, 23 * PERIOD_NS, seen(23)) == prompt.update(24, 23 * PERIOD_NS, seen(23))


def test_what_the_camera_did_between_is_added_up():
    """The picture moves by whole pixels; somebody on it stands still in the world."""
    follow, x = follower(), 0
    for number in range(12):
        x += 4
        image = np.roll(NOISE, -x, axis=1)
        follow.advance(pair(image, number))
        if number % 3 == 0:
            where = (200.0 - x, 80.0, 20.0, 40.0)
            answer = Detection("person", 0.9, where)
            objects = follow.update(number + 1, number * PERIOD_NS, [answer])
        else:
            objects = follow.predict()
        for found in objects:
            assert found.box[0] == pytest.approx(200 - x, abs=2.5)
    assert [found.track_id for found in objects] == [1]
