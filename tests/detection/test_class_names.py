"""Names of classes, and what happens to those that a detector does not have."""

from pathlib import Path

import pytest

from fusion_core.detection.card import Card
from fusion_core.detection.class_names import ClassNames
from fusion_core.errors import UsageError

PATH = Path("net.onnx")
NAMED = ClassNames(PATH, {1: "person", 7: "car"})
UNNAMED = ClassNames(PATH, {})


def test_names_of_the_card_replace_those_of_coco():
    names = ClassNames.of(PATH, Card(names={0: "a", 1: "b"}), 80)
    assert names.known == ("a", "b")


@pytest.mark.parametrize("count", [90, 91])
def test_convention_coco_numbers_leave_some_out(count):
    """In COCO's own files category 12 does not occur and 13 is the stop sign."""
    names = ClassNames.of(PATH, Card(), count)
    assert (names.label(1), names.label(13), names.has(12)) == ("person", "stop sign", False)


def test_a_class_without_a_name_is_its_number():
    assert (UNNAMED.label(3), UNNAMED.has(3)) == ("3", True)
    assert (NAMED.label(3), NAMED.has(3)) == ("3", False)


def test_names_of_classes_are_selected():
    assert NAMED.select(("car", "person"), "a.setting") == {"car", "person"}
    assert NAMED.select((), "a.setting") == frozenset()
    assert UNNAMED.select(("3",), "a.setting") == {"3"}


@pytest.mark.parametrize(
    ("names", "wrong", "message"),
    [
        (NAMED, "persn", r"a.setting: 'persn' is no class of net.onnx; known: person, car$"),
        (NAMED, "Car", "'Car' is no class"),
        (NAMED, "7", "'7' is no class"),
        (UNNAMED, "person", r"'person': net.onnx names no classes.*list `names` in net.yaml"),
    ],
)
def test_unknown_names_are_refused_with_the_known_ones(names, wrong, message):
    with pytest.raises(UsageError, match=message):
        names.select(("car", wrong) if names is NAMED else (wrong,), "a.setting")
