"""Which kind of engine is picked, and what is remembered of it."""

import json
import time

import pytest

from fusion_core.inference.choice import Choice, kept_choice, machine, measure

KEY = machine(model="any", size=(480, 640))
KINDS = ("openvino", "torch")


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "fusion" / "engines"


def busy(seconds):
    return lambda: time.sleep(seconds)


def test_the_fastest_is_picked_and_remembered(cache):
    choice = measure(KEY, {"openvino": busy(0.05), "torch": busy(0.0)})
    assert choice.kind == "torch"
    assert "openvino" in choice.reason()
    assert kept_choice(KEY, KINDS) == choice
    assert kept_choice({**KEY, "size": (1, 1)}, KINDS) is None
    (file,) = cache.iterdir()
    assert json.loads(file.read_text())["key"]["model"] == "any"


def test_of_equally_fast_ones_the_first_is_picked():
    assert measure(KEY, {"openvino": busy(0.05), "torch": busy(0.05)}).kind == "openvino"


def test_what_other_work_adds_does_not_count():
    delays = iter((0.0, 0.3, 0.0, 0.3, 0.3, 0.3, 0.3, 0.3))
    disturbed = lambda: time.sleep(next(delays))  # noqa: E731
    assert measure(KEY, {"openvino": disturbed, "torch": busy(0.1)}).kind == "openvino"


def test_another_package_asks_for_a_new_measurement():
    measure(KEY, dict.fromkeys(KINDS, busy(0)))
    assert kept_choice(KEY, KINDS) is not None
    assert kept_choice(KEY, ("openvino",)) is None
    assert kept_choice(KEY, (*KINDS, "onnx")) is None


def test_a_kind_that_could_not_be_measured_is_not_tried_again():
    measure(KEY, {"torch": busy(0)}, {"openvino": "cannot load it"})
    assert kept_choice(KEY, KINDS).refused == {"openvino": "cannot load it"}


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"kind": "torch"}', '{"kind": "x", "milliseconds": {"y": 1}}']
)
def test_a_damaged_file_counts_as_none(cache, text):
    measure(KEY, dict.fromkeys(KINDS, busy(0)))
    (file,) = cache.iterdir()
    file.write_text(text)
    assert kept_choice(KEY, KINDS) is None
    file.write_bytes(b"\xff\x00")
    assert kept_choice(KEY, KINDS) is None


def test_where_nothing_can_be_kept_the_choice_holds_all_the_same(monkeypatch, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    assert isinstance(measure(KEY, dict.fromkeys(KINDS, busy(0))), Choice)
    assert kept_choice(KEY, KINDS) is None
