import threading

from fusion_core.runtime.latest_slot import LatestSlot


def test_newest_value_wins_and_the_displaced_one_is_returned():
    slot = LatestSlot()
    assert slot.publish_latest(1) is None
    assert slot.publish_latest(2) == 1
    assert slot.take_latest() == 2


def test_last_value_is_handed_over_before_the_end_and_later_ones_are_refused():
    slot = LatestSlot()
    slot.publish_latest("last")
    slot.close()
    assert slot.publish_latest("late") == "late"
    assert slot.take_latest() == "last"
    assert slot.take_latest() is None


def test_close_frees_a_waiting_taker():
    slot = LatestSlot()
    taken = []
    receiver = threading.Thread(target=lambda: taken.append(slot.take_latest()), daemon=True)
    receiver.start()
    slot.close()
    receiver.join(10)
    assert taken == [None]


def test_no_value_is_lost_or_doubled_between_two_threads():
    slot = LatestSlot()
    taken = []

    def take_all():
        while (value := slot.take_latest()) is not None:
            taken.append(value)

    receiver = threading.Thread(target=take_all, daemon=True)
    receiver.start()
    displaced = [slot.publish_latest(value) for value in range(1, 2001)]
    slot.close()
    receiver.join(10)
    displaced = [value for value in displaced if value is not None]
    assert sorted(taken + displaced) == list(range(1, 2001))
    assert taken == sorted(taken)
    assert taken[-1] == 2000
