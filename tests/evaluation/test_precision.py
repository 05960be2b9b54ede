"""Average precision and recall against cases worked out by hand."""

import math
import sys

import numpy as np
import pytest

from fusion_core.errors import MissingExtraError
from fusion_lab.evaluation.precision import ClassTally


def boxes(*rows):
    return np.array(rows, np.float64).reshape(-1, 4)


NONE = boxes()
HERE, THERE, FAR = (0, 0, 10, 10), (100, 0, 110, 10), (0, 500, 10, 510)


def tally(*pictures):
    result = ClassTally()
    for found, scores, objects, ignore in pictures:
        result.add(boxes(*found), np.array(scores, np.float64), boxes(*objects), boxes(*ignore))
    return result


def match(found, objects, ignore):
    """Return for each detection, best first: right, wrong, or None where it does not count."""
    result = ClassTally()
    result.add(found, np.linspace(0.9, 0.1, len(found)), objects, ignore)
    (picture,) = result.pictures
    pairs = zip(picture["dtMatches"][0], picture["dtIgnore"][0], strict=True)
    return [None if ignored else bool(matched) for matched, ignored in pairs]


def test_average_precision_by_hand():
    """Four objects in two pictures; by score the detections are right, wrong, right, right, wrong.

    Precision at recall 1/4, 2/4, 3/4 is 1, 2/3, 3/4; seen from the right 1, 3/4, 3/4, then 0. Of
    the 101 recalls 26 are up to 0.25, 50 more up to 0.75, 25 beyond: (26 + 50 * 0.75) / 101.
    """
    scores = tally(
        ([HERE, FAR, THERE], [0.9, 0.8, 0.7], [HERE, THERE], []),
        ([HERE, FAR], [0.6, 0.1], [HERE, THERE], []),
    ).sum_up(0.65)
    assert scores.ap50 == pytest.approx((26 + 50 * 0.75) / 101)
    assert scores.objects == 4
    assert scores.recall == 2 / 4  # three detections from 0.65 on, two of them right
    assert scores.precision == pytest.approx(2 / 3)
    assert scores.recall_at_one == 3 / 4  # both false ones are allowed in two pictures


def test_tallies_of_single_pictures_merge_into_the_tally_of_all():
    pictures = [
        ([HERE, FAR, THERE], [0.9, 0.8, 0.7], [HERE, THERE], []),
        ([HERE, FAR], [0.6, 0.1], [HERE, THERE], []),
    ]
    merged = ClassTally.merged(tally(picture) for picture in pictures)
    assert len(merged.pictures) == 2
    assert merged.sum_up(0.65) == tally(*pictures).sum_up(0.65)


def test_recall_ends_before_the_second_false_detection_of_a_picture():
    found = [FAR, HERE, (0, 600, 10, 610), THERE]
    scores = tally((found, [0.9, 0.8, 0.7, 0.6], [HERE, THERE], [])).sum_up(0.5)
    assert scores.recall_at_one == 1 / 2
    assert scores.recall == 1


def test_a_second_box_on_one_object_is_wrong():
    verdicts = match(boxes(HERE, (0, 0, 10, 9)), boxes(HERE), NONE)
    assert list(verdicts) == [True, False]


def test_the_nearer_object_is_taken():
    """The second detection overlaps both; the first has taken the better one."""
    objects = boxes((0, 0, 10, 10), (0, 3, 10, 13))
    assert list(match(boxes((0, 1, 10, 11), (0, 1, 10, 11)), objects, NONE)) == [True, True]
    assert list(match(boxes((0, 4, 10, 14), (0, 4, 10, 14)), objects, NONE)) == [True, False]


@pytest.mark.parametrize(("height", "verdict"), [(20, True), (20.1, False)])
def test_convention_iou_of_one_half_is_enough(height, verdict):
    assert list(match(boxes((0, 0, 10, height)), boxes(HERE), NONE)) == [verdict]


class TestIgnore:
    REGION = boxes((0, 0, 100, 100))

    def test_what_matches_nothing_there_does_not_count(self):
        assert list(match(boxes((10, 10, 20, 20)), NONE, self.REGION)) == [None]

    def test_half_of_the_detection_must_lie_in_it(self):
        inside = boxes((95, 0, 105, 10), (95.1, 0, 105.1, 10))
        assert list(match(inside, NONE, self.REGION)) == [None, False]

    def test_it_never_hides_a_labelled_object(self):
        verdicts = match(boxes((10, 10, 20, 20)), boxes((10, 10, 20, 20)), self.REGION)
        assert list(verdicts) == [True]

    def test_a_missed_object_in_it_is_missed(self):
        scores = tally(([], [], [(10, 10, 20, 20)], [(0, 0, 100, 100)])).sum_up(0.5)
        assert (scores.objects, scores.recall, scores.ap50) == (1, 0, 0)

    def test_neither_precision_nor_false_alarms_know_of_it(self):
        found = [(10, 10, 20, 20), (10, 30, 20, 40), THERE]
        scores = tally((found, [0.9, 0.8, 0.7], [THERE], [(0, 0, 100, 100)])).sum_up(0.5)
        assert scores.ap50 == pytest.approx(1)
        assert (scores.precision, scores.recall_at_one) == (1, 1)


def test_nothing_labelled_leaves_recall_undefined():
    scores = tally(([HERE], [0.9], [], [])).sum_up(0.5)
    assert math.isnan(scores.ap50)
    assert math.isnan(scores.recall)
    assert scores.precision == 0


def test_nothing_found_is_no_precision_but_average_precision_zero():
    scores = tally(([], [], [HERE], [])).sum_up(0.5)
    assert (scores.ap50, scores.recall) == (0, 0)
    assert math.isnan(scores.precision)


@pytest.mark.parametrize("count", [150, 400])
def test_crowds_are_not_cut(count):
    """COCO's tables count 100 detections of a picture; here the last of hundreds counts as well."""
    rows = [(20 * index, 0, 20 * index + 10, 10) for index in range(count)]
    scores = tally((rows, np.linspace(0.9, 0.1, count), rows, [])).sum_up(0.05)
    assert (scores.objects, scores.recall) == (count, 1)
    assert scores.ap50 == pytest.approx(1)
    region = [(0, 0, 20 * count, 10)]
    ignored = tally((rows, np.linspace(0.9, 0.1, count), [], region), ([HERE], [0.5], [HERE], []))
    assert ignored.sum_up(0.05).precision == 1


def test_without_pycocotools_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pycocotools.cocoeval", None)
    with pytest.raises(MissingExtraError, match=r"pycocotools.*pip install -e '\.\[lab\]'"):
        tally(([HERE], [0.9], [HERE], []))


# Five pictures with random boxes, ignored regions and scores; drawn by `random_pictures`. The value
# is what pycocotools 2.0.11 gives for them: COCOeval(iouType="bbox"), iouThrs [0.5], areaRng all,
# maxDets 1000, ignored regions as iscrowd.
COCO_AP50 = 0.3253837554140809


def random_pictures():
    rng = np.random.default_rng(7)
    for _ in range(5):
        corners = rng.uniform(0, 300, (12, 2))
        objects = np.hstack([corners, corners + rng.uniform(20, 60, (12, 2))])
        moved = objects + rng.normal(0, 6, objects.shape)
        extra = rng.uniform(0, 300, (8, 2))
        others = np.hstack([extra, extra + rng.uniform(20, 60, (8, 2))])
        found = np.vstack([moved[:9], moved[2:5] + 2, others])
        yield (
            found,
            rng.uniform(0.05, 1, len(found)),
            objects[:10],
            objects[10:] + np.array([-30, -30, 30, 30]),
        )


def test_agrees_with_cocos_own_evaluation():
    result = ClassTally()
    for picture in random_pictures():
        result.add(*picture)
    counted = sum((picture["dtIgnore"][0] == 0).sum() for picture in result.pictures)
    assert 0 < counted < 5 * 20  # some lay in ignored regions
    assert result.sum_up(0.5).ap50 == pytest.approx(COCO_AP50, abs=1e-9)
