"""Which pairs of a live stream the detector gets, and how long a frame waits for it."""

import pytest

from fusion_core.detection.pace import DetectionPace

PERIOD_S = 1 / 30
LIMIT_S = 5.0


def due(pace, numbers):
    """Return the numbers of the pairs that are due, all of them at one time."""
    return [n for n in numbers if pace.is_due(round(n * PERIOD_S * 1e9), 0.0)]


@pytest.mark.parametrize(("every", "expected"), [(1, [0, 1, 2, 3, 4, 5, 6]), (3, [0, 3, 6])])
def test_every_nth_pair_is_due_and_waited_for(every, expected):
    pace = DetectionPace(every)
    assert due(pace, range(7)) == expected
    pace.end(0.0, 1.0)
    assert pace.patience_s(0.0, 0.0, 3.0, LIMIT_S) == LIMIT_S


def test_auto_waits_where_the_detector_will_be_done_before_the_next_pair():
    pace = DetectionPace("auto")
    assert pace.patience_s(0.0, 0.0, 0.0, LIMIT_S) == LIMIT_S  # nothing is known yet
    assert due(pace, range(3)) == [0, 1, 2]
    pace.end(0.0, 0.5 * PERIOD_S)
    now_s = 1.0 + 0.25 * PERIOD_S
    assert pace.patience_s(1.0, 1.0, now_s, LIMIT_S) == pytest.approx(1.5 * PERIOD_S)
    assert pace.patience_s(1.0, 1.0, 2.0, LIMIT_S) == 0.0
    for _ in range(2):  # the median counts
        pace.end(0.0, 2 * PERIOD_S)
    assert pace.patience_s(1.0, 1.0, 1.0, LIMIT_S) == 0.0


def test_auto_waits_for_the_answer_to_an_earlier_pair():
    pace = DetectionPace("auto")
    due(pace, range(3))
    pace.end(0.0, 1.8 * PERIOD_S)
    came_s = 1.0 + PERIOD_S  # the pair after the one that the detector got
    assert pace.patience_s(1.0, 1.0, 1.0 + 0.9 * PERIOD_S, LIMIT_S) == 0.0
    now_s = came_s + 0.5 * PERIOD_S
    assert pace.patience_s(1.0, came_s, now_s, LIMIT_S) == pytest.approx(PERIOD_S)


def test_a_pair_that_came_late_does_not_delay_the_next_one():
    pace = DetectionPace("auto")
    due(pace, range(3))
    pace.end(0.0, 0.8 * PERIOD_S)
    begun_s = 1.0 + 0.6 * PERIOD_S
    assert pace.patience_s(begun_s, 1.0, begun_s, LIMIT_S) == 0.0


def test_auto_rests_as_long_as_it_worked_when_pairs_are_lost_again_and_again():
    pace, stamp, now_s = DetectionPace("auto"), 0, 0.0
    due(pace, range(4))
    for _ in range(9):
        stamp, now_s = stamp + 4, now_s + 1.0
        due(pace, [stamp - 1, stamp])  # two pairs before them did not come
        pace.end(now_s, now_s + 0.1)
    assert not pace.is_due(round((stamp + 1) * PERIOD_S * 1e9), now_s + 0.19)
    assert pace.is_due(round((stamp + 2) * PERIOD_S * 1e9), now_s + 0.21)


def test_auto_goes_on_after_a_single_lost_pair():
    pace = DetectionPace("auto")
    due(pace, range(4))
    pace.end(0.0, 2 * PERIOD_S)
    assert pace.is_due(round(5 * PERIOD_S * 1e9), 0.2)  # one pair did not come
    pace.end(0.2, 0.2 + 2 * PERIOD_S)
    assert pace.is_due(round(8 * PERIOD_S * 1e9), 0.2 + 2 * PERIOD_S)  # at once


def test_auto_waits_longer_where_objects_would_be_old():
    pace = DetectionPace("auto")
    due(pace, range(3))
    pace.end(0.0, 1.5 * PERIOD_S)
    came_s = 1.0 + PERIOD_S  # the pair after the one that the detector got, as late as that pair
    now_s = came_s + 0.8 * PERIOD_S
    fresh, old = (pace.patience_s(1.0, came_s, now_s, LIMIT_S, age_s) for age_s in (0.067, 0.1))
    assert fresh == pytest.approx(0.4 * PERIOD_S)
    assert old == pytest.approx(0.95 * PERIOD_S)  # the one after the next has not come by then


def test_auto_does_not_wait_for_a_slow_detector_however_old_objects_are():
    pace = DetectionPace("auto")
    due(pace, range(3))
    pace.end(0.0, 4 * PERIOD_S)
    assert pace.patience_s(1.0, 1.0 + PERIOD_S, 1.0 + PERIOD_S, LIMIT_S, 0.5) == 0.0


def test_stamps_that_go_back_are_no_interval():
    pace = DetectionPace("auto")
    assert due(pace, [100, 101, 5, 6]) == [100, 101, 5, 6]
    pace.end(0.0, 0.5 * PERIOD_S)
    assert pace.patience_s(0.0, 0.0, 0.0, LIMIT_S) == pytest.approx(2 * PERIOD_S, rel=1e-3)
