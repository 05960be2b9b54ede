"""Alarms on temperatures that are known over time."""

import pytest

from fusion_core.temperature.alarms import AlarmMonitor
from fusion_core.temperature.settings import TemperatureConfig
from fusion_core.types import Detection, ObjectHeat

SECOND = 1_000_000_000
BOX = (0.0, 0.0, 10.0, 10.0)


def seen(celsius, track_id=1, label="vehicle", maximum=None):
    hottest = celsius if maximum is None else maximum
    heat = ObjectHeat(celsius, hottest, celsius, 50)
    return Detection(label, 0.9, BOX, track_id, heat=heat)


def follow(monitor, values, start=0):
    """Feed one object ten times a second; return where an alarm was on."""
    on = []
    for i, value in enumerate(values, start):
        detections = [] if value is None else [seen(value)]
        on.append(bool(monitor.update(i * SECOND // 10, detections)))
    return on


def test_it_begins_after_its_time_and_ends_inside_the_hysteresis():
    config = TemperatureConfig(alarm_above_c=60.0, alarm_after_s=0.3, alarm_hysteresis_k=5.0)
    monitor = AlarmMonitor(config)
    values = [50, 61, 62, 59, 61, 61, 61, 61, 58, 56, 61, 54, 58, 59]
    # 59 breaks the wait; from the second 61 on it takes 0.3 s; 58 and 56 are within 5 K.
    expected = [False] * 7 + [True] * 4 + [False] * 3
    assert follow(monitor, values) == expected
    assert monitor.raised == 1


def test_what_it_says():
    monitor = AlarmMonitor(TemperatureConfig(alarm_above_c=60.0, alarm_after_s=0.2))
    follow(monitor, [61, 62])
    (alarm,) = monitor.update(2 * SECOND // 10, [seen(70.5)])
    assert (alarm.kind, alarm.track_id, alarm.label) == ("above", 1, "vehicle")
    assert (alarm.temperature, alarm.limit, alarm.since_ns) == (70.5, 60.0, 0)


def test_below():
    config = TemperatureConfig(alarm_below_c=5.0, alarm_after_s=0, alarm_hysteresis_k=1.0)
    assert follow(AlarmMonitor(config), [6, 4.9, 5.5, 6.5]) == [False, True, True, False]


def test_time_is_that_of_the_stamps():
    monitor = AlarmMonitor(TemperatureConfig(alarm_above_c=60.0, alarm_after_s=0.5))
    assert monitor.update(0, [seen(80)]) == ()
    assert len(monitor.update(SECOND, [seen(80)])) == 1


@pytest.mark.parametrize(("gap", "on"), [(19, True), (21, False)])
def test_an_object_that_is_gone_ends_its_alarm(gap, on):
    monitor = AlarmMonitor(TemperatureConfig(alarm_above_c=60.0, alarm_after_s=0))
    assert follow(monitor, [80] + [None] * gap)[-1] is on


def test_time_that_goes_back_ends_all():
    monitor = AlarmMonitor(TemperatureConfig(alarm_above_c=60.0, alarm_after_s=0.5))
    assert follow(monitor, [80] * 6, start=100)[-1]
    assert follow(monitor, [80]) == [False]


def test_who_raises_alarms():
    config = TemperatureConfig(alarm_above_c=60.0, alarm_after_s=0, alarm_labels="vehicle")
    monitor = AlarmMonitor(config)
    objects = [
        seen(80, 1),
        seen(90, 2, "person"),
        seen(90, None),
        Detection("vehicle", 0.9, BOX, 4),
        seen(70, 5),
    ]
    assert [alarm.track_id for alarm in monitor.update(0, objects)] == [1, 5]


def test_which_temperature_is_compared():
    found = [seen(50, maximum=80)]
    for by, count in (("mean", 0), ("percentile", 0), ("maximum", 1)):
        config = TemperatureConfig(alarm_above_c=60.0, alarm_after_s=0, alarm_by=by)
        assert len(AlarmMonitor(config).update(0, found)) == count


def test_memory_stays_bounded():
    """A new object in every picture for ten minutes."""
    monitor = AlarmMonitor(TemperatureConfig(alarm_above_c=60.0, alarm_after_s=0))
    most = max(len(monitor.update(i * SECOND // 10, [seen(80, i)])) for i in range(6000))
    assert most <= 21
