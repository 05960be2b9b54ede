import threading

from fusion_core.runtime.latest_slot import LatestSlot


def test_newest_value_wins_and_the_loss_is_told():
    slot = LatestSlot()
    assert slot.put(1) is False
    assert slot.put(2) is True
    assert slot.take() == 2


def test_last_value_is_handed_over_before_the_end():
    slot = LatestSlot()
    slot.put("last")
    slot.close()
    assert slot.take() == "last"
    assert slot.take() is None


def test_close_frees_a_waiting_taker():
    slot = LatestSlot()
    taken = []
    receiver = threading.Thread(target=lambda: taken.append(slot.take()))
    receiver.start()
    slot.close()
    receiver.join(10)
    assert taken == [None]


def test_no_value_is_lost_or_doubled_between_two_threads():
    slot = LatestSlot()
    taken = []

    def take_all():
        while (value := slot.take()) is not None:
            taken.append(value)

    receiver = threading.Thread(target=take_all)
    receiver.start()
    displaced = sum(slot.put(value) for value in range(1, 2001))
    slot.close()
    receiver.join(10)
    assert len(taken) + displaced == 2000
    assert taken == sorted(set(taken))
    assert taken[-1] == 2000
