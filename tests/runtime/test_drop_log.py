import logging
import threading

from fusion_core.runtime.drop_log import DropLog
from fusion_core.types import Drop


def test_drops_are_counted_by_stream_and_listed_once_in_order():
    log = DropLog()
    log.record_drop("visible", "corrupt", 5)
    log.record_drop("thermal", "corrupt")
    log.record_drop("thermal", "busy", 9)
    assert log.by_cause() == {"corrupt": 2, "busy": 1}
    assert log.by_stream() == {"visible": {"corrupt": 1}, "thermal": {"corrupt": 1, "busy": 1}}
    listed = (
        Drop(5, "visible", "corrupt"),
        Drop(None, "thermal", "corrupt"),
        Drop(9, "thermal", "busy"),
    )
    assert log.take_recent() == (listed, 0)
    assert log.take_recent() == ((), 0)


def test_the_list_is_bounded_and_what_does_not_fit_is_counted():
    log = DropLog(capacity=3)
    for stamp in range(5):
        log.record_drop("visible", "unused", stamp)
    log.record_drop("visible", "lost_on_wire", count=10)
    recent, unlisted = log.take_recent()
    assert [drop.cause for drop in recent] == ["lost_on_wire"] * 3
    assert unlisted + len(recent) == sum(log.by_cause().values()) == 15


def test_drops_of_one_log_are_counted_once_in_another():
    log, total = DropLog(), DropLog()
    log.forward_to(total)
    log.forward_to(total)
    log.record_drop("thermal", "queue_full", 7)
    assert total.by_cause() == log.by_cause() == {"queue_full": 1}
    assert total.take_recent() == log.take_recent()


def test_every_drop_is_in_the_debug_log(caplog):
    with caplog.at_level(logging.DEBUG, "fusion_core.runtime.drop_log"):
        DropLog().record_drop("thermal", "too_old", 12)
    assert all(word in caplog.text for word in ("thermal", "12", "too_old"))


def test_no_drop_is_lost_between_threads():
    log = DropLog(capacity=8)
    listed = []

    def record():
        for stamp in range(500):
            log.record_drop("visible", "busy", stamp)

    threads = [threading.Thread(target=record, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        recent, unlisted = log.take_recent()
        listed += [len(recent) + unlisted]
    recent, unlisted = log.take_recent()
    assert sum(listed) + len(recent) + unlisted == log.by_cause()["busy"] == 2000
