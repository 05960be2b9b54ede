"""A bounded queue to a thread: order, back pressure, errors, ends."""

import threading

import pytest

from fusion_core.runtime.worker import OrderedWorker

LIMIT_S = 60


def test_every_value_is_worked_on_once_and_in_order():
    seen = []
    with OrderedWorker("test", seen.append) as worker:
        for value in range(200):
            worker.put(value)
    assert seen == list(range(200))


def test_who_hands_over_waits_while_the_queue_is_full():
    gate, handed = threading.Event(), []
    worker = OrderedWorker("test", lambda _: gate.wait(LIMIT_S))

    def hand_over():
        for value in range(100):
            worker.put(value)
            handed.append(value)

    thread = threading.Thread(target=hand_over, daemon=True)
    thread.start()
    thread.join(0.2)
    assert thread.is_alive()
    assert len(handed) < 20
    gate.set()
    thread.join(LIMIT_S)
    worker.close()
    assert len(handed) == 100


def put_until_raised(worker):
    """The thread notes the error a moment after it was raised."""
    for _ in range(100_000):
        worker.put(0)


def test_an_error_is_raised_once_and_ends_the_work():
    done, failed = [], threading.Event()

    def work(value):
        if value == 3:
            failed.set()
            raise ValueError("three")
        done.append(value)

    worker = OrderedWorker("test", work)
    for value in range(4):
        worker.put(value)
    assert failed.wait(LIMIT_S)
    with pytest.raises(ValueError, match="three"):
        put_until_raised(worker)
    worker.put(0)
    worker.close()
    assert done == [0, 1, 2]
    assert worker.take_error() is None


def test_an_error_of_the_last_value_is_left_to_be_taken():
    worker = OrderedWorker("test", lambda value: 1 / value)
    worker.put(0)
    worker.close()
    worker.close()
    assert isinstance(worker.take_error(), ZeroDivisionError)
